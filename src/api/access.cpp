// Who may use a route: the key of a request found by its digest in the process's copy of the table
// (store/keys.cpp), and what an address without keys lets in. Called by routes.cpp, once per
// request.
#include "access.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "eventhub/http/digest.hpp"
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

ApiKeyPtr admin_key(const std::string& token) {
  if (token.empty()) return nullptr;
  auto key = std::make_shared<ApiKey>();
  key->name = kSettingsKeyName;
  key->producer = kAdminProducer;
  key->scopes = Scopes(Scope::admin);
  key->digest = http::sha256(token);
  return key;
}

bool is_bearer(std::string_view scheme) {
  constexpr std::string_view kBearer = "bearer ";
  if (scheme.size() < kBearer.size()) return false;
  for (std::size_t i = 0; i < kBearer.size(); ++i) {
    const char c = scheme[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kBearer[i]) return false;
  }
  return true;
}

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
  constexpr std::string_view kLocal = "localhost";
  const bool named = std::equal(name.begin(), name.end(), kLocal.begin(), kLocal.end(),
                                [](char a, char b) { return (a | 32) == b; });
  return named || is_loopback(name);
}

Door door(const Config& config, const store::KeySet& keys) {
  const ServerConfig& server = config.server;
  if (keys.any || !server.admin_key.empty()) return Door::keyed;
  if (server.insecure) return Door::open_to_all;
  const bool apart = server.management_on_metrics_port;
  const bool local = is_loopback(server.bind) && (!apart || is_loopback(server.metrics_bind));
  if (local) return Door::open_to_this_machine;
  return config.has_role("api") ? Door::refused : Door::keyed;
}

Access::Access(const store::KeySetPtr& keys, const ServerConfig& config, std::string_view bind)
    : keys_(keys),
      admin_(admin_key(config.admin_key)),
      local_(is_loopback(bind)),
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

// A browser on this machine can be led here by any page, through a name of the page's own that
// resolves to 127.0.0.1; and a proxy that passes on what others ask makes the hub theirs.
std::optional<http::Response> Access::refuse_stranger(const http::Request& request) const {
  const std::string_view host = request.header("host");
  if (insecure_ || host.empty() || is_local_host(host)) return std::nullopt;
  return problem(403,
                 "this hub has no API keys and answers only to localhost; make a key with "
                 "eventhubd keys create");
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
