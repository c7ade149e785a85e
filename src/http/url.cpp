// Parses webhook URLs strictly: what a browser would repair is refused, so that the address that is
// judged is the address that is meant. egress.cpp judges it.
#include "eventhub/http/url.hpp"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

namespace eventhub::http {
namespace {

constexpr std::size_t kUrlMax = 2048;
constexpr std::size_t kHostMax = 253;
constexpr std::size_t kLabelMax = 63;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}
bool is_alnum(char c) {
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

// Decimal without sign or leading zeros, at most `max`; -1 for anything else.
int parse_decimal(std::string_view text, int max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return -1;
  if (!std::all_of(text.begin(), text.end(), is_digit)) return -1;
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value <= max ? value : -1;
}

bool is_dotted_quad(std::string_view host) {
  int parts = 0;
  while (true) {
    const auto dot = host.find('.');
    if (parse_decimal(host.substr(0, dot), 255) < 0) return false;
    ++parts;
    if (dot == std::string_view::npos) return parts == 4;
    host.remove_prefix(dot + 1);
  }
}

// `127.1`, `2130706433`, `0x7f.1`, `0177.0.0.1`: names whose last label is a number are addresses
// to many resolvers, so only the dotted quad may have one.
bool ends_in_number(std::string_view host) {
  const auto label = host.substr(host.rfind('.') + 1);  // npos + 1 = 0
  if (label.starts_with("0x") && std::all_of(label.begin() + 2, label.end(), is_hex)) return true;
  return std::all_of(label.begin(), label.end(), is_digit);
}

// Empty when `host` (lower case) is a name, else what is wrong.
std::string wrong_name(std::string_view host) {
  if (host.empty()) return "has no host";
  if (host.size() > kHostMax) return "has a host of more than 253 characters";
  if (ends_in_number(host)) return "has a host that is neither a name nor a dotted IPv4 address";
  while (true) {
    const auto dot = host.find('.');
    const auto label = host.substr(0, dot);
    if (label.empty() || label.size() > kLabelMax) return "has a host with an empty or long label";
    if (label.front() == '-' || label.back() == '-')
      return "has a host label that starts or ends with '-'";
    for (const char c : label) {
      if (!is_alnum(c) && c != '-' && c != '_') {
        return "has a host with a character other than letters, digits, '-', '.' "
               "(international names in punycode)";
      }
    }
    if (dot == std::string_view::npos) return {};
    host.remove_prefix(dot + 1);
  }
}

std::string wrong_address(std::string_view host) {
  if (!std::all_of(host.begin(), host.end(),
                   [](char c) { return is_hex(c) || c == ':' || c == '.'; })) {
    return "has a bracketed host that is not an IPv6 address (zone ids are refused)";
  }
  boost::system::error_code error;
  boost::asio::ip::make_address_v6(std::string(host), error);
  return error ? "has a bracketed host that is not an IPv6 address" : "";
}

// Takes host and port out of the authority.
std::string read_authority(std::string_view authority, Url& url) {
  if (authority.find('@') != std::string_view::npos) {
    return "has user information (name:password@); use the subscriber's headers";
  }
  std::string_view port;
  std::string wrong;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return "has a bracket that is not closed";
    url.host = to_lower(authority.substr(1, close - 1));
    port = authority.substr(close + 1);
    wrong = wrong_address(url.host);
  } else {
    const auto colon = authority.find(':');
    url.host = to_lower(authority.substr(0, colon));
    port = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
    if (!is_dotted_quad(url.host)) wrong = wrong_name(url.host);
  }
  if (!wrong.empty()) return wrong;
  url.port = url.tls ? 443 : 80;
  if (port.empty()) return {};
  const int number = port.front() == ':' ? parse_decimal(port.substr(1), 65535) : -1;
  if (number < 1) return "has a port that is not a number from 1 to 65535";
  url.port = static_cast<std::uint16_t>(number);
  return {};
}

std::string read_target(std::string_view target, Url& url) {
  for (std::size_t i = 0; i < target.size(); ++i) {
    const char c = target[i];
    if (c == '"' || c == '<' || c == '>') return "has a character that must be percent-encoded";
    if (c != '%') continue;
    if (i + 2 >= target.size() || !is_hex(target[i + 1]) || !is_hex(target[i + 2])) {
      return "has a '%' that is not followed by two hexadecimal digits";
    }
  }
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return {};
}

}  // namespace

std::string Url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

std::string Url::origin() const {
  return (tls ? "https://" : "http://") + authority();
}

std::variant<Url, std::string> parse_url(std::string_view text) {
  if (text.size() > kUrlMax) return "URL is longer than 2048 characters";
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7f) return "URL has a space, a control character or one outside ASCII";
    if (c == '\\') return "URL has a backslash";
    if (c == '#') return "URL has a fragment";
  }
  Url url;
  const auto scheme_end = text.find("://");
  const std::string scheme = to_lower(text.substr(0, scheme_end));
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return "URL does not start with http:// or https://";
  }
  url.tls = scheme == "https";
  text.remove_prefix(scheme_end + 3);
  const auto authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string wrong = read_authority(text.substr(0, authority_end), url);
  if (wrong.empty()) wrong = read_target(text.substr(authority_end), url);
  if (!wrong.empty()) return "URL " + wrong;
  return url;
}

std::string redact_url(std::string_view text) {
  text = text.substr(0, text.find_first_of("?#"));
  std::string out;
  const auto scheme_end = text.find("://");
  const bool url = scheme_end < text.find_first_of("@/");
  if (url) {
    out = text.substr(0, scheme_end + 3);
    text.remove_prefix(scheme_end + 3);
  }
  // Up to the last '@' of what may be the authority; a backslash ends it for some parsers.
  const auto authority = url ? text.substr(0, text.find('/')) : text;
  if (const auto at = authority.rfind('@'); at != std::string_view::npos)
    text.remove_prefix(at + 1);
  out += text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

}  // namespace eventhub::http
