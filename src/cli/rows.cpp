// JSON of the API, taken apart for people and put together for requests. Calls core/json.
#include "cli/rows.hpp"

#include <algorithm>
#include <charconv>

#include "cli/error.hpp"

namespace eventhub::cli {
namespace {

constexpr std::size_t kAnswerDepthMax = 1'024;
using JsonKind = JsonValue::Kind;

std::vector<JsonMember> members_in(std::string_view text) {
  auto read = read_json_object(text, kAnswerDepthMax);
  if (auto* members = std::get_if<0>(&read)) return std::move(*members);
  throw RefusedError("what answered is not a hub: " + std::get<1>(read).detail);
}

bool same_items(const JsonValue& left, const JsonValue& right) {
  const auto a = json_items(left), b = json_items(right);
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_value);
}

bool same_members(const JsonValue& left, const JsonValue& right) {
  const Row a(left.text), b(right.text);
  const auto found = [&b](const JsonMember& member) {
    const JsonValue* other = b.find(member.name);
    return other != nullptr && same_value(member.value, *other);
  };
  return a.members().size() == b.members().size() &&
         std::all_of(a.members().begin(), a.members().end(), found);
}

}  // namespace

Row::Row(std::string_view text) : json_(text), members_(members_in(text)) {}

const JsonValue* Row::find(std::string_view name) const {
  const auto same = [name](const JsonMember& member) { return member.name == name; };
  const auto found = std::find_if(members_.begin(), members_.end(), same);
  return found == members_.end() ? nullptr : &found->value;
}

std::string Row::text(std::string_view name) const {
  const JsonValue* value = find(name);
  return value == nullptr ? "" : shown(*value);
}

std::vector<Row> Row::rows(std::string_view name) const {
  std::vector<Row> all;
  const JsonValue* value = find(name);
  if (value == nullptr || value->kind != JsonKind::array) return all;
  for (const JsonValue& item : json_items(*value)) {
    if (item.kind == JsonKind::object) all.emplace_back(item.text);
  }
  return all;
}

bool Row::is(std::string_view name, std::string_view written) const {
  const JsonValue* value = find(name);
  return value != nullptr && value->text == written;
}

std::string shown(const JsonValue& value) {
  if (value.kind == JsonKind::null) return {};
  if (value.kind == JsonKind::string) return json_string(value).value_or(std::string(value.text));
  if (value.kind != JsonKind::array) return std::string(value.text);
  std::string joined;
  for (const JsonValue& item : json_items(value)) {
    joined.append(joined.empty() ? "" : ", ").append(shown(item));
  }
  return joined;
}

std::optional<double> number_in(const JsonValue& value) {
  double number = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, number);
  if (value.kind != JsonKind::number || error != std::errc{} || at != end) return std::nullopt;
  return number;
}

bool same_value(const JsonValue& left, const JsonValue& right) {
  if (left.kind != right.kind) return false;
  switch (left.kind) {
    case JsonKind::string:
      return json_string(left) == json_string(right);
    case JsonKind::number:
      return number_in(left) == number_in(right);
    case JsonKind::array:
      return same_items(left, right);
    case JsonKind::object:
      return same_members(left, right);
    default:
      return left.text == right.text;
  }
}

void ObjectText::text(std::string_view name, std::string_view value) {
  std::string quoted;
  append_json_string(quoted, value);
  json(name, quoted);
}

void ObjectText::json(std::string_view name, std::string_view value) {
  if (!text_.empty()) text_ += ',';
  append_json_string(text_, name);
  text_.append(":").append(value);
}

}  // namespace eventhub::cli
