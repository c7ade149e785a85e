#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace eventhub::http {

// An absolute http or https URL, strictly parsed: no userinfo, no fragment, dotted-quad or
// bracketed literals only, no control characters.
struct Url {
  bool tls = false;
  std::string host;  // lower case, without brackets
  std::uint16_t port = 80;
  std::string target;             // path and query, at least "/"
  std::string authority() const;  // for Host: with brackets and a non-default port
  std::string origin() const;     // scheme://authority, the key of a connection pool
};

// The URL, or what is wrong with it.
std::variant<Url, std::string> parse_url(std::string_view text);
// For logs: without userinfo and query.
std::string redact_url(std::string_view text);

}  // namespace eventhub::http
