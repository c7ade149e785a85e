// Who may use a route: the key of a request found by its digest in the process's copy of the table
// (store/keys.cpp), and what an address without keys lets in. Called by routes.cpp, once per
// request.
#include "access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <span>

#include "eventhub/http/digest.hpp"
#include "eventhub/http/unix_socket.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::size_t kTokenMax = 512;
constexpr std::string_view kAdminProducer = "admin";

bool is_loopback(std::string_view text) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(text, error);
  if (error) return false;
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address.is_loopback();
  using namespace boost::asio::ip;
  return make_address_v4(v4_mapped, address.to_v6()).is_loopback();
}

// Only programs of this machine connect to a listener there.
bool is_local_bind(std::string_view bind) {
  return is_loopback(bind) || http::is_unix(bind);
}

ApiKeyPtr admin_key(const std::string& token) {
  if (token.empty()) return nullptr;
  auto key = std::make_shared<ApiKey>();
  key->name = kSettingsKeyName;
  key->producer = kAdminProducer;
  key->scopes = Scopes(Scope::admin);
  key->digest = http::sha256(token);
  return key;
}

// `lower` is in small letters.
bool reads(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
  });
}

bool is_bearer(std::string_view scheme) {
  constexpr std::string_view kBearer = "bearer ";
  return reads(scheme.substr(0, kBearer.size()), kBearer);
}

// What follows the name in a Host.
bool is_port_or_nothing(std::string_view text) {
  constexpr std::size_t kDigitsMax = 5;
  if (text.empty()) return true;
  const std::string_view digits = text.substr(1);
  return text.front() == ':' && !digits.empty() && digits.size() <= kDigitsMax &&
         std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The page that a browser sends a request for was served by this machine.
bool is_local_origin(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return is_local_host(origin.substr(scheme.size()));
  }
  return false;
}

// "none": the person at the browser asks, and no page.
bool is_own_site(std::string_view site) {
  return site == "same-origin" || site == "none";
}

bool never(std::string_view /*value*/) {
  return false;
}

// A header that tells that a request comes from somebody who is not on this machine.
struct Telltale {
  std::string_view name;
  bool (*harmless)(std::string_view value);
  std::string_view answer;
};
constexpr std::string_view kNoPage = "answers no page of another site";
constexpr std::string_view kNoProxy = "answers nobody behind a proxy";
constexpr Telltale kSite{"sec-fetch-site", is_own_site, kNoPage};
constexpr std::array kTelltales{
    Telltale{"host", is_local_host, "answers only to localhost"},
    kSite,
    Telltale{"origin", is_local_origin, kNoPage},
    Telltale{"forwarded", never, kNoProxy},
    Telltale{"x-forwarded-for", never, kNoProxy},
    Telltale{"x-forwarded-host", never, kNoProxy},
    Telltale{"x-forwarded-proto", never, kNoProxy},
    Telltale{"via", never, kNoProxy},
};

}  // namespace

std::string_view bearer_token(std::string_view authorization) {
  if (!is_bearer(authorization)) return {};
  authorization.remove_prefix(
      std::min(authorization.find_first_not_of(' ', 7), authorization.size()));
  return authorization.size() > kTokenMax ? std::string_view{} : authorization;
}

bool is_local_host(std::string_view host) {
  const bool v6 = host.starts_with('[');
  const auto end = host.find(v6 ? ']' : ':');
  if (v6 && end == host.npos) return false;
  const std::string_view name = v6 ? host.substr(1, end - 1) : host.substr(0, end);
  if (!is_port_or_nothing(host.substr(std::min(v6 ? end + 1 : end, host.size())))) return false;
  return reads(name, "localhost") || is_loopback(name);
}

Door door(const Config& config, const store::KeySet& keys) {
  const ServerConfig& server = config.server;
  if (keys.any || !server.admin_key.empty()) return Door::keyed;
  if (server.insecure) return Door::open_to_all;
  const bool apart = server.management_on_metrics_port;
  const bool local = is_local_bind(server.bind) && (!apart || is_loopback(server.metrics_bind));
  if (local) return Door::open_to_this_machine;
  return config.has_role("api") ? Door::refused : Door::keyed;
}

Access::Access(const store::KeySetPtr& keys, const ServerConfig& config, std::string_view bind)
    : keys_(keys),
      admin_(admin_key(config.admin_key)),
      local_(is_local_bind(bind)),
      insecure_(config.insecure) {}

Access::Verdict Access::check(Scope wanted, const http::Request& request, Mono now) const {
  if (wanted == Scope::none) return {};
  const store::KeySet& keys = *keys_;
  if (keys.version < 0)
    return {unavailable("the database is not ready yet; try again"), nullptr, {}};
  if (!keys.any && admin_ == nullptr && (local_ || insecure_)) {
    return {refuse_stranger(request), nullptr, {}};
  }
  const std::size_t count = request.count("authorization");
  if (count == 0) return {unauthorized(Credentials::missing), nullptr, {}};
  if (count > 1) return {problem(400, "the request has more than one Authorization"), nullptr, {}};
  const std::string_view token = bearer_token(request.header("authorization"));
  ApiKeyPtr key = token.empty() ? nullptr : find(token);
  if (key == nullptr) return {unauthorized(Credentials::wrong), nullptr, {}};
  key->use->last = now;
  if (!key->scopes.allow(wanted)) return {forbidden(wanted), nullptr, {}};
  if (!key->limit) return {std::nullopt, std::move(key), {}};
  const RateState state = key->use->bucket.take(*key->limit, now);
  Verdict verdict{std::nullopt, nullptr, rate_headers(*key->limit, state)};
  if (state.allowed) {
    verdict.key = std::move(key);
  } else {
    verdict.refusal = too_many_requests(state.retry_in);
  }
  return verdict;
}

// A browser on this machine can be led here by any page: by the hub's address, or through a name of
// the page's own that resolves to 127.0.0.1; and a proxy that passes on what others ask makes the
// hub theirs. server.insecure is for hubs that others reach by other names, and not for pages.
std::optional<http::Response> Access::refuse_stranger(const http::Request& request) const {
  const std::span<const Telltale> telltales =
      insecure_ ? std::span(&kSite, 1) : std::span<const Telltale>(kTelltales);
  for (const auto& [name, value] : request.headers) {
    for (const Telltale& telltale : telltales) {
      if (!reads(name, telltale.name) || telltale.harmless(value)) continue;
      return problem(403, fmt::format("this hub has no API keys and {}; make a key with "
                                      "eventhubd keys create",
                                      telltale.answer));
    }
  }
  return std::nullopt;
}

// The map is asked for 8 bytes of the digest: what its timing tells is about the digest, of which
// nobody can choose a part.
ApiKeyPtr Access::find(std::string_view token) const {
  const Sha256Digest digest = http::sha256(token);
  const auto& known = keys_->by_digest;
  const auto found = known.find(store::digest_prefix(digest));
  if (found != known.end() && http::equal_digests(found->second->digest, digest)) {
    return found->second;
  }
  return admin_ != nullptr && http::equal_digests(admin_->digest, digest) ? admin_ : nullptr;
}

}  // namespace eventhub::api
