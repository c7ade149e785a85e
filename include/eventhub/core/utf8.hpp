#pragma once
#include <string>
#include <string_view>

namespace eventhub {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 when there is none (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text);

// For a person's terminal: what it would obey, or what would turn the line around, is a space
// (C0, DEL, C1, marks and overrides of direction, line and paragraph separators), what is no UTF-8
// is U+FFFD.
std::string terminal_text(std::string_view text);

}  // namespace eventhub
