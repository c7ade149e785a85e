// Cursors of lists, written and read. Called by the handlers of lists.
#include "cursor.hpp"

#include <fmt/format.h>

#include <charconv>

namespace eventhub::api {

std::string make_cursor(std::initializer_list<std::int64_t> numbers) {
  return fmt::format("{:x}", fmt::join(numbers, "-"));
}

bool parse_cursor(std::string_view text, std::span<std::int64_t> numbers) {
  const char* at = text.data();
  const char* end = at + text.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && (at == end || *at++ != '-')) return false;
    if (at == end || *at == '-') return false;
    const auto [stopped, error] = std::from_chars(at, end, numbers[i], 16);
    if (error != std::errc{}) return false;
    at = stopped;
  }
  return at == end;
}

}  // namespace eventhub::api
