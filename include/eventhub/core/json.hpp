#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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

// The items of POST /events/batch as they are in its body: of a JSON array, whose grammar is
// checked as a whole, or the lines of NDJSON, of which empty ones do not count. No more than
// `items_max` and one are taken.
std::variant<std::vector<std::string_view>, InputError> split_json_array(std::string_view body,
                                                                         std::size_t items_max);
std::vector<std::string_view> split_lines(std::string_view body, std::size_t items_max);

// One of them: an event with its idempotency key. Places are those within the item.
struct BatchItem {
  NewEvent event;
  std::optional<std::string> key;
};
std::variant<BatchItem, InputError> parse_batch_item(std::string_view text, std::size_t depth_max);

// A value of a document, as it is written there.
struct JsonValue {
  enum class Kind { object, array, string, number, boolean, null };
  Kind kind = Kind::null;
  std::string_view text;
};
struct JsonMember {
  std::string name;
  JsonValue value;
};
// The members of a document that is an object, checked as validate_json does; no name comes twice.
std::variant<std::vector<JsonMember>, InputError> read_json_object(std::string_view text,
                                                                   std::size_t depth_max);
// The items of an array of a checked document.
std::vector<JsonValue> json_items(const JsonValue& array);
// A string without its quotes and escapes; nullopt for another kind and for half a surrogate pair.
std::optional<std::string> json_string(const JsonValue& value);

// Appends `text` as a JSON string with quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace eventhub
