#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "eventhub/core/event.hpp"

namespace eventhub {

// Why a body was refused: what to tell the producer and where (a JSON Pointer as fragment,
// "#/payload").
struct InputError {
  std::string detail;
  std::string pointer;
};

// RFC 8259 validity of a whole document: grammar, UTF-8, escapes, end of input; lone surrogate
// escapes and numbers of any size are legal. `depth_max` bounds nesting before any recursion.
// Nullopt = valid.
std::optional<InputError> validate_json(std::string_view text, std::size_t depth_max);

// The body of POST /events, checked as semantics.md says. The payload is the exact slice of `body`.
std::variant<NewEvent, InputError> parse_new_event(std::string_view body, std::size_t depth_max);

// Appends `text` as a JSON string with quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace eventhub
