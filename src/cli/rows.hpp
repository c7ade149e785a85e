#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/json.hpp"

namespace eventhub::cli {

// The members of a JSON object of an answer, for looking things up. Points into `text`.
class Row {
 public:
  // Throws RefusedError when it is no object.
  explicit Row(std::string_view text);
  // Null when it is not there.
  const JsonValue* find(std::string_view name) const;
  // For people: a string without quotes, another value as it is written; empty for null or nothing.
  std::string text(std::string_view name) const;
  // The objects in an array; empty for anything else.
  std::vector<Row> rows(std::string_view name) const;
  bool is(std::string_view name, std::string_view written) const;
  const std::vector<JsonMember>& members() const& { return members_; }
  const std::vector<JsonMember>& members() const&& = delete;  // of what is gone
  std::string_view json() const { return json_; }

 private:
  std::string_view json_;
  std::vector<JsonMember> members_;
};

// One value for people; items of an array are joined by ", ".
std::string shown(const JsonValue& value);

// The number in a JSON value; nullopt for anything else.
std::optional<double> number_in(const JsonValue& value);
// Whether two values mean the same: 5 and 5.0, "a" and "\u0061"; members in any order.
bool same_value(const JsonValue& left, const JsonValue& right);

// An object put together member by member.
class ObjectText {
 public:
  void text(std::string_view name, std::string_view value);
  // `value` is JSON already.
  void json(std::string_view name, std::string_view value);
  bool empty() const { return text_.empty(); }
  std::string done() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

}  // namespace eventhub::cli
