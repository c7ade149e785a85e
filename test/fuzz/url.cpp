// Webhook URLs: what is accepted means one thing, also to others, and what is logged of it has no
// secrets.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "eventhub/http/url.hpp"
#include "fuzz/fuzz.hpp"

namespace eventhub::fuzz {
namespace {

using http::Url;

void read_again(const Url& url) {
  const auto again = http::parse_url(url.origin() + url.target);
  const auto* same = std::get_if<Url>(&again);
  require(same != nullptr, "an accepted URL is accepted when it is written again");
  require(same->tls == url.tls && same->host == url.host && same->port == url.port &&
              same->target == url.target,
          "and means the same");
}

// What the address policy judges is what a resolver makes of the host.
void one_address(const std::string& host) {
  in_addr lenient{}, strict{};
  in6_addr v6{};
  if (host.find(':') != std::string::npos) {
    require(inet_pton(AF_INET6, host.c_str(), &v6) == 1, "a host with colons is an IPv6 address");
  } else if (inet_aton(host.c_str(), &lenient) != 0) {
    require(inet_pton(AF_INET, host.c_str(), &strict) == 1 && lenient.s_addr == strict.s_addr,
            "no host is an address to some and a name to others");
  }
}

void harmless(const Url& url) {
  require(!url.host.empty() && url.host.size() <= 253, "the host is neither empty nor long");
  require(url.port != 0, "there is a port");
  require(url.target.starts_with('/'), "the target is a path");
  const auto visible = [](char c) { return c > ' ' && c < 0x7f && c != '#' && c != '\\'; };
  require(std::all_of(url.target.begin(), url.target.end(), visible),
          "the target is visible ASCII");
  const auto in_host = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.:").find(c) != std::string_view::npos;
  };
  require(std::all_of(url.host.begin(), url.host.end(), in_host), "a host has no other characters");
}

std::string_view authority_of(std::string_view text) {
  const auto scheme = text.find("://");
  if (scheme != std::string_view::npos && text.substr(0, scheme).find_first_of("@/") == text.npos) {
    text.remove_prefix(scheme + 3);
  }
  return text.substr(0, text.find('/'));
}

void nothing_secret(std::string_view text, bool accepted) {
  const std::string logged = http::redact_url(text);
  require(logged.size() <= text.size(), "less is logged than there is");
  require(authority_of(logged).find('@') == std::string_view::npos, "no user and password");
  require(std::none_of(logged.begin(), logged.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
          "no control characters");
  require(!accepted || logged == text.substr(0, text.find('?')), "of a URL all but its query");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace eventhub;
  const std::string_view text = fuzz::text_of(data, size);
  const auto result = http::parse_url(text);
  const auto* url = std::get_if<http::Url>(&result);
  if (url != nullptr) {
    fuzz::harmless(*url);
    fuzz::read_again(*url);
    fuzz::one_address(url->host);
  } else {
    fuzz::require(!std::get<std::string>(result).empty(), "a refusal has a reason");
  }
  fuzz::nothing_secret(text, url != nullptr);
  return 0;
}
