// Small documents taken apart by the walk that events go through (json_walk.cpp): bodies of the
// management API. Called by src/api.
#include <algorithm>

#include "json_walk.hpp"

namespace eventhub {
namespace json {

JsonValue::Kind kind_of(char first) {
  switch (first) {
    case '{':
      return JsonValue::Kind::object;
    case '[':
      return JsonValue::Kind::array;
    case '"':
      return JsonValue::Kind::string;
    case 't':
    case 'f':
      return JsonValue::Kind::boolean;
    case 'n':
      return JsonValue::Kind::null;
    default:
      return JsonValue::Kind::number;
  }
}

}  // namespace json
namespace {

bool read_value(json::Walker& walk, JsonValue& out) {
  const char first = walk.peek();
  const char* from = walk.position();
  if (!walk.value()) return false;
  out = {json::kind_of(first), {from, static_cast<std::size_t>(walk.position() - from)}};
  return true;
}

class ObjectReader {
 public:
  ObjectReader(std::string_view text, std::size_t depth_max) : walk_(text, depth_max) {}

  std::variant<std::vector<JsonMember>, InputError> read() {
    if (!walk_.begin()) return walk_.error();
    const bool object = walk_.peek() == '{';
    if (!(object ? members() : walk_.value()) || !walk_.end()) return error();
    if (!object) return InputError{"the body must be a JSON object", "#"};
    return std::move(members_);
  }

 private:
  InputError error() const { return refused_ ? *refused_ : walk_.error(); }

  bool members() {
    if (!walk_.enter(true)) return false;
    if (walk_.take('}')) return true;
    do {
      if (!member()) return false;
    } while (walk_.take(','));
    if (!walk_.take('}')) return walk_.fail("not valid JSON: expected a comma or a closing brace");
    walk_.leave();
    return true;
  }

  bool member() {
    json::RawString raw;
    JsonMember next;
    if (!walk_.name(raw)) return false;
    const bool whole = json::unescape(raw.bytes, next.name);
    const auto same = [&](const JsonMember& other) { return other.name == next.name; };
    if (!whole || std::any_of(members_.begin(), members_.end(), same)) {
      refused_ = InputError{whole ? "a member is given more than once"
                                  : "the name of a member contains half of a surrogate pair",
                            "#"};
      return false;
    }
    if (!read_value(walk_, next.value)) return false;
    members_.push_back(std::move(next));
    return true;
  }

  json::Walker walk_;
  std::vector<JsonMember> members_;
  std::optional<InputError> refused_;
};

}  // namespace

std::variant<std::vector<JsonMember>, InputError> read_json_object(std::string_view text,
                                                                   std::size_t depth_max) {
  return ObjectReader(text, depth_max).read();
}

std::vector<JsonValue> json_items(const JsonValue& array) {
  json::Walker walk(array.text, json::Walker::kDepthLimit);
  std::vector<JsonValue> items;
  if (!walk.enter(false) || walk.take(']')) return items;
  do {
    JsonValue item;
    if (!read_value(walk, item)) break;
    items.push_back(item);
  } while (walk.take(','));
  return items;
}

std::optional<std::string> json_string(const JsonValue& value) {
  std::string out;
  if (value.kind != JsonValue::Kind::string) return std::nullopt;
  if (!json::unescape(value.text.substr(1, value.text.size() - 2), out)) return std::nullopt;
  return out;
}

}  // namespace eventhub
