// The grammar of RFC 8259 as one forward pass: json.cpp validates whole documents with it and
// json_event.cpp reads the envelope of an event. UTF-8 is judged by simdjson for the whole text
// first, so the walk itself only looks at ASCII. Numbers are checked, never converted: 1e999 is
// legal.
#include "json_walk.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

namespace eventhub::json {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
constexpr std::uint64_t kHighs = 0x8080808080808080ULL;

// The high bit of a byte is set when that byte is zero; bytes above the first hit may be wrong,
// which is all right for "is there one".
std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - kOnes) & ~word & kHighs;
}

// Whether any of eight bytes ends the quick run over a string: quote, backslash or control
// character.
bool special_in(const char* eight) {
  std::uint64_t word;
  std::memcpy(&word, eight, 8);
  const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHighs;
  return (control | zero_bytes(word ^ (kOnes * '"')) | zero_bytes(word ^ (kOnes * '\\'))) != 0;
}

}  // namespace

Walker::Walker(std::string_view text, std::size_t depth_max)
    : begin_(text.data()),
      at_(text.data()),
      end_(text.data() + text.size()),
      depth_max_(std::min(depth_max, kDepthLimit)) {}

bool Walker::fail(const char* what) {
  if (fault_ == nullptr) fault_ = what;
  return false;
}

InputError Walker::error() const {
  std::string detail = fault_ == nullptr ? "not valid JSON" : fault_;
  if (at_ != begin_) detail += " at byte offset " + std::to_string(at_ - begin_);
  return {std::move(detail), "#"};
}

bool Walker::begin() {
  const std::string_view text(begin_, static_cast<std::size_t>(end_ - begin_));
  if (text.starts_with("\xEF\xBB\xBF")) {
    return fail("not valid JSON: a byte order mark is not allowed");
  }
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return fail("not valid JSON: the text is not UTF-8");
  }
  peek();
  return at_ != end_ || fail("not valid JSON: the text is empty");
}

char Walker::peek() {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  return at_ == end_ ? '\0' : *at_;
}

bool Walker::take(char wanted) {
  if (peek() != wanted || at_ == end_) return false;
  ++at_;
  return true;
}

bool Walker::in_object() const {
  const std::size_t top = depth_ - 1;
  return ((objects_[top / 64] >> (top % 64)) & 1U) != 0;
}

bool Walker::enter(bool object) {
  if (depth_ >= depth_max_) return fail("nested deeper than allowed");
  const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
  std::uint64_t& word = objects_[depth_ / 64];
  word = object ? word | bit : word & ~bit;
  ++depth_;
  ++at_;
  return true;
}

bool Walker::value() {
  const std::size_t base = depth_;
  for (bool more = true; more;) {
    const char first = peek();
    bool closed = true;  // a scalar is complete at once, like an empty bracket
    const bool good = first == '{' || first == '[' ? open(first, closed) : scalar(first);
    if (!good) return false;
    if (closed && !after_value(base, more)) return false;
  }
  return true;
}

// Enters a bracket; leaves it at once when it is empty, else stands before its first value.
bool Walker::open(char first, bool& closed) {
  const bool object = first == '{';
  if (!enter(object)) return false;
  closed = take(object ? '}' : ']');
  if (closed) {
    leave();
    return true;
  }
  RawString ignored;
  return !object || name(ignored);
}

// Closes what ends here. `more` tells whether another value follows within `base`.
bool Walker::after_value(std::size_t base, bool& more) {
  while (depth_ > base) {
    const char next = peek();
    const bool object = in_object();
    if (next == ',') {
      ++at_;
      RawString ignored;
      return !object || name(ignored);
    }
    if (next != (object ? '}' : ']')) {
      if (at_ == end_) return fail("not valid JSON: the text ends too early");
      return fail(object ? "not valid JSON: expected a comma or a closing brace"
                         : "not valid JSON: expected a comma or a closing bracket");
    }
    ++at_;
    leave();
  }
  more = false;
  return true;
}

bool Walker::scalar(char first) {
  RawString ignored;
  switch (first) {
    case '"':
      return string(ignored);
    case 't':
      return literal("true");
    case 'f':
      return literal("false");
    case 'n':
      return literal("null");
    default:
      if (at_ == end_) return fail("not valid JSON: the text ends too early");
      if (first == '-' || is_digit(first)) return number();
      return fail("not valid JSON: expected a value");
  }
}

bool Walker::literal(std::string_view word) {
  const auto left = static_cast<std::size_t>(end_ - at_);
  if (left < word.size() || std::memcmp(at_, word.data(), word.size()) != 0) {
    return fail("not valid JSON: expected a value");
  }
  at_ += word.size();
  return true;
}

bool Walker::digits() {
  const char* from = at_;
  while (at_ != end_ && is_digit(*at_)) ++at_;
  return at_ != from || fail("not valid JSON: expected a digit");
}

bool Walker::number() {
  if (*at_ == '-') ++at_;
  if (at_ != end_ && *at_ == '0') {
    ++at_;
    if (at_ != end_ && is_digit(*at_)) return fail("not valid JSON: a number begins with zero");
  } else if (!digits()) {
    return false;
  }
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return false;
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    return digits();
  }
  return true;
}

bool Walker::name(RawString& out) {
  if (peek() != '"') {
    if (at_ == end_) return fail("not valid JSON: the text ends too early");
    return fail("not valid JSON: expected a member name in quotes");
  }
  if (!string(out)) return false;
  return take(':') || fail("not valid JSON: expected a colon");
}

bool Walker::string(RawString& out) {
  ++at_;
  const char* from = at_;
  bool escaped = false;
  if (!string_body(escaped)) return false;
  out = {std::string_view(from, static_cast<std::size_t>(at_ - from)), escaped};
  ++at_;
  return true;
}

// Runs to the closing quote.
bool Walker::string_body(bool& escaped) {
  for (;;) {
    while (end_ - at_ >= 8 && !special_in(at_)) at_ += 8;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) {
      ++at_;
    }
    if (at_ == end_) return fail("not valid JSON: a string does not end");
    if (*at_ == '"') return true;
    if (*at_ != '\\') return fail("not valid JSON: a control character in a string");
    escaped = true;
    if (!escape()) return false;
  }
}

bool Walker::escape() {
  ++at_;
  if (at_ == end_) return fail("not valid JSON: a string does not end");
  if (*at_ == 'u') {
    ++at_;
    if (end_ - at_ < 4 || !std::all_of(at_, at_ + 4, is_hex)) {
      return fail("not valid JSON: \\u needs four hexadecimal digits");
    }
    at_ += 4;
    return true;
  }
  if (std::string_view("\"\\/bfnrt").find(*at_) == std::string_view::npos) {
    return fail("not valid JSON: an unknown escape in a string");
  }
  ++at_;
  return true;
}

bool Walker::end() {
  peek();
  return at_ == end_ || fail("not valid JSON: more text after the end of the document");
}

}  // namespace eventhub::json
