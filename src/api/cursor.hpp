#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "request_input.hpp"

namespace eventhub::api {

// Where a page of a list ends, as text that clients hand back unread: numbers in hexadecimal.
std::string make_cursor(std::initializer_list<std::int64_t> numbers);

// The numbers of `?cursor=`; false when the text is none of ours.
bool parse_cursor(std::string_view text, std::span<std::int64_t> numbers);

// Refused (400) when it is none of ours; nullopt when there is none.
template <std::size_t Count>
std::optional<std::array<std::int64_t, Count>> read_cursor(const Parameters& query) {
  const auto text = query.text("cursor");
  if (!text) return std::nullopt;
  std::array<std::int64_t, Count> numbers{};
  if (!parse_cursor(*text, numbers)) {
    query.refuse("cursor", "must be the next_cursor of the page before");
  }
  return numbers;
}

}  // namespace eventhub::api
