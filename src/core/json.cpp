// Whole documents and single strings: validity (for callers that need no members), writing a
// string, and undoing the escapes of one. The walk is json_walk.cpp; events are read by
// json_event.cpp.
#include "eventhub/core/json.hpp"

#include <charconv>

#include "json_walk.hpp"

namespace eventhub {
namespace json {
namespace {

std::uint32_t hex4(std::string_view digits) {
  std::uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + 4, value, 16);
  return value;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// `raw` begins after "\u". Takes the second half of a pair too; false for half a pair.
bool append_code(std::string_view& raw, std::string& out) {
  std::uint32_t code = hex4(raw);
  raw.remove_prefix(4);
  if (code >= 0xDC00 && code < 0xE000) return false;
  if (code >= 0xD800 && code < 0xDC00) {
    if (!raw.starts_with("\\u")) return false;
    const std::uint32_t low = hex4(raw.substr(2));
    if (low < 0xDC00 || low >= 0xE000) return false;
    raw.remove_prefix(6);
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code);
  return true;
}

char short_escape(char letter) {
  switch (letter) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return letter;  // " \ /
  }
}

}  // namespace

bool unescape(std::string_view raw, std::string& out) {
  while (!raw.empty()) {
    const std::size_t plain = std::min(raw.find('\\'), raw.size());
    out.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.empty()) break;
    const char letter = raw[1];
    raw.remove_prefix(2);
    if (letter != 'u') {
      out += short_escape(letter);
    } else if (!append_code(raw, out)) {
      return false;
    }
  }
  return true;
}

}  // namespace json

std::optional<InputError> validate_json(std::string_view text, std::size_t depth_max) {
  json::Walker walker(text, depth_max);
  if (walker.begin() && walker.value() && walker.end()) return std::nullopt;
  return walker.error();
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t written = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text.substr(written, i - written));
    written = i + 1;
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[i];
    } else {
      out.append("\\u00");
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out.append(text.substr(written));
  out += '"';
}

}  // namespace eventhub
