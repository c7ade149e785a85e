// Which request headers of its own a subscriber may have. Asked when a row is loaded (src/store)
// and when one is written by the API; canonical_header also by `subscribers apply`.
#include "eventhub/core/subscriber_headers.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace eventhub {
namespace {

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Names that the delivery itself decides: a second field of the name would be ambiguous, or forged.
bool reserved(std::string_view name) {
  constexpr std::array names{
      "host",       "content-length", "transfer-encoding", "connection",   "keep-alive",
      "te",         "trailer",        "upgrade",           "expect",       "traceparent",
      "tracestate", "user-agent",     "content-type",      "x-message-id", "x-delivery-attempt"};
  constexpr std::array<std::string_view, 3> prefixes{"webhook-", "x-event-", "ce-"};
  const auto same = [&](std::string_view n) { return same_ignoring_case(n, name); };
  const auto begins = [&](std::string_view p) {
    return same_ignoring_case(name.substr(0, p.size()), p);
  };
  return std::ranges::any_of(names, same) || std::ranges::any_of(prefixes, begins);
}

// A token of RFC 9110.
bool valid_name(std::string_view name) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || marks.find(c) != marks.npos;
  });
}

bool valid_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
}

}  // namespace

std::string_view header_fault(std::string_view name, std::string_view value) {
  if (!valid_name(name)) return "is not a valid name of a header";
  if (reserved(name)) return "is sent by the hub itself";
  if (!valid_value(value)) return "must be one line of text";
  return {};
}

std::string canonical_header(std::string_view name) {
  std::string out(name);
  bool first = true;
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    c = static_cast<char>(first ? std::toupper(byte) : std::tolower(byte));
    first = c == '-';
  }
  return out;
}

}  // namespace eventhub
