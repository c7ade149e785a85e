// Decides which requests are refused although Beast parses them; pure. Called by
// server_connection.cpp when a header is complete, before its body is read.
#include "http/gate.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace eventhub::http {
namespace {

constexpr std::string_view kHostCharacters = "-._~!$&'()*+;=%[]:";
constexpr std::array<std::string_view, 10> kMethods{
    "GET", "HEAD", "POST", "PUT", "DELETE", "QUERY", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}

// The parser joins folded lines, so only the bytes tell.
bool has_folded_line(std::string_view raw) {
  const char* at = raw.data();
  const char* end = at + raw.size();
  while (
      (at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at))))) {
    if (++at == end) return false;
    if (*at == ' ' || *at == '\t') return true;
  }
  return false;
}

Refused judge_sizes(const Head& head, const Limits& limits) {
  if (head.target.size() > limits.target_bytes_max) return {414, "the request target is too long"};
  if (head.raw.size() > limits.header_bytes_max) return {431, "the request header is too large"};
  if (head.headers->size() > limits.fields_max) return {431, "too many header fields"};
  return {};
}

Refused judge_request_line(const Head& head) {
  if (std::find(kMethods.begin(), kMethods.end(), head.method) == kMethods.end()) {
    return {501, "this method is not implemented"};
  }
  if (head.method == "CONNECT") return {400, "CONNECT is not supported"};
  const auto bad = [](char c) { return c <= ' ' || c >= 0x7f || c == '#'; };
  if (head.target.empty() || head.target.front() != '/' ||
      std::any_of(head.target.begin(), head.target.end(), bad)) {
    return {400, "the request target must be a path of visible ASCII characters"};
  }
  return {};
}

bool is_host(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return is_digit(c) || is_alpha(c) || kHostCharacters.find(c) != std::string_view::npos;
  });
}

bool is_number(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), is_digit);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// Whether `judge` finds what it looks for in one of the parts of a list.
template <class Judge>
bool any_part(std::string_view list, char separator, const Judge& judge) {
  for (;;) {
    const std::size_t end = std::min(list.find(separator), list.size());
    if (judge(trimmed(list.substr(0, end)))) return true;
    if (end == list.size()) return false;
    list.remove_prefix(end + 1);
  }
}

// A proxy takes away the fields that Connection names, and what comes behind it reads another
// request.
bool names_framing(std::string_view part) {
  return equal_ignoring_case(part, "content-length") ||
         equal_ignoring_case(part, "transfer-encoding") || equal_ignoring_case(part, "host");
}

bool is_coding(std::string_view part) {
  return !part.empty() && !equal_ignoring_case(part, "identity");
}

bool is_other_charset(std::string_view parameter) {
  const std::size_t equals = std::min(parameter.find('='), parameter.size());
  if (!equal_ignoring_case(trimmed(parameter.substr(0, equals)), "charset")) return false;
  std::string_view value = trimmed(parameter.substr(std::min(equals + 1, parameter.size())));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  return !equal_ignoring_case(value, "utf-8") && !equal_ignoring_case(value, "utf8");
}

// The fields that say how a body is to be read: as it is, and as UTF-8. Who is beside us and
// follows another word of them reads another body.
Refused judge_meaning(std::string_view name, std::string_view value) {
  if (equal_ignoring_case(name, "connection") && any_part(value, ',', names_framing)) {
    return {400, "Connection names a field that says where the request ends or whom it is for"};
  }
  if (equal_ignoring_case(name, "content-encoding") && any_part(value, ',', is_coding)) {
    return {415, "no Content-Encoding but identity"};
  }
  if (equal_ignoring_case(name, "content-type") && any_part(value, ';', is_other_charset)) {
    return {415, "no charset but UTF-8"};
  }
  return {};
}

struct Counts {
  int hosts = 0, lengths = 0, encodings = 0;
};

// The fields that say where a request ends or whom it is for. Their order does not matter: the
// body's length is settled before the other limits are looked at.
Refused judge_field(std::string_view name, std::string_view value, int version, Counts& seen) {
  if (equal_ignoring_case(name, "host")) {
    if (++seen.hosts > 1) return {400, "more than one Host"};
    if (!is_host(value)) return {400, "Host is not a host"};
  } else if (equal_ignoring_case(name, "content-length")) {
    if (++seen.lengths > 1) return {400, "more than one Content-Length"};
    if (!is_number(value)) return {400, "Content-Length is not a number"};
  } else if (equal_ignoring_case(name, "transfer-encoding")) {
    if (version < 11) return {400, "Transfer-Encoding needs HTTP/1.1"};
    if (!equal_ignoring_case(value, "chunked")) return {501, "no transfer coding but chunked"};
    if (++seen.encodings > 1) return {400, "more than one Transfer-Encoding"};
  } else if (version >= 11 && equal_ignoring_case(name, "expect")) {
    if (!equal_ignoring_case(value, "100-continue"))
      return {417, "no expectation but 100-continue"};
  } else {
    return judge_meaning(name, value);
  }
  return {};
}

Refused judge_fields(const Head& head) {
  Counts seen;
  for (const auto& [name, value] : *head.headers) {
    if (const Refused refused = judge_field(name, value, head.version, seen)) return refused;
  }
  if (seen.hosts == 0 && head.version >= 11) return {400, "Host is missing"};
  if (seen.lengths > 0 && seen.encodings > 0) {
    return {400, "both Content-Length and Transfer-Encoding"};
  }
  return {};
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

Refused gate(const Head& head, const Limits& limits) {
  if (const Refused refused = judge_sizes(head, limits)) return refused;
  if (has_folded_line(head.raw)) return {400, "folded header lines are obsolete"};
  if (const Refused refused = judge_request_line(head)) return refused;
  if (const Refused refused = judge_fields(head)) return refused;
  if (head.content_length.value_or(0) > limits.body_bytes_max)
    return {413, "the body is too large"};
  return {};
}

Refused too_long(std::string_view raw, const Limits& limits) {
  constexpr std::size_t kBesideTarget = 32;  // method, version, spaces
  const std::size_t line = std::min(raw.find("\r\n"), raw.size());
  if (line > limits.target_bytes_max + kBesideTarget)
    return {414, "the request target is too long"};
  return {431, "the request header is too large"};
}

}  // namespace eventhub::http
