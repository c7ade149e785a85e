// Times as text: RFC 3339, for answers and parameters of the API.
#include "eventhub/core/time_text.hpp"

#include <charconv>

#include "core/log_format.hpp"

namespace eventhub {
namespace {

// Reads `digits` digits; false when there are fewer.
bool take_number(std::string_view& text, std::size_t digits, int& out) {
  if (text.size() < digits) return false;
  const std::string_view part = text.substr(0, digits);
  if (part.find_first_not_of("0123456789") != std::string_view::npos) return false;
  std::from_chars(part.data(), part.data() + digits, out);
  text.remove_prefix(digits);
  return true;
}

bool take_any(std::string_view& text, std::string_view choice) {
  if (text.empty() || choice.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// A number, and the mark after it.
bool take_part(std::string_view& text, std::size_t digits, std::string_view mark, int& out) {
  return take_number(text, digits, out) && take_any(text, mark);
}

bool take_fraction(std::string_view& text, Micros& out) {
  if (!take_any(text, ".")) return true;
  std::size_t digits = 0;
  std::int64_t value = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits < 6) value = value * 10 + (text[digits] - '0');
    ++digits;
  }
  for (std::size_t i = digits; i < 6; ++i) value *= 10;
  out = Micros{value};
  text.remove_prefix(digits);
  return digits > 0;
}

bool take_offset(std::string_view& text, std::chrono::minutes& out) {
  if (take_any(text, "Zz")) return true;
  const bool west = text.starts_with('-');
  int hours = 0, minutes = 0;
  if (!take_any(text, "+-") || !take_part(text, 2, ":", hours) || !take_number(text, 2, minutes)) {
    return false;
  }
  out = std::chrono::minutes{(hours * 60 + minutes) * (west ? -1 : 1)};
  return hours < 24 && minutes < 60;
}

}  // namespace

std::string format_time(Time time) {
  std::string text;
  log::append_time(text, time);
  return text;
}

std::optional<Time> parse_time(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  Micros fraction{0};
  std::chrono::minutes offset{0};
  const bool whole = take_part(text, 4, "-", year) && take_part(text, 2, "-", month) &&
                     take_part(text, 2, "Tt ", day) && take_part(text, 2, ":", hour) &&
                     take_part(text, 2, ":", minute) && take_number(text, 2, second) &&
                     take_fraction(text, fraction) && take_offset(text, offset) && text.empty();
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!whole || !date.ok() || year < 1 || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  return std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
         Seconds{second} + fraction - offset;
}

}  // namespace eventhub
