#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/store/subscriber_admin.hpp"

namespace eventhub::store {

// The columns that a caller may write, each with `prefix`, as SQL.
std::string subscriber_columns(std::string_view prefix);
// SQL for the row `n` that subscriber `s` becomes with the members of the JSON in `parameter`.
std::string changed_row(std::string_view parameter);
// The column that a constraint is about: constraints are named after it.
std::string subscriber_column_of(std::string_view constraint);

// The catalogue's (name, condition) of the table's rules, and (column, expression) of its defaults.
extern const pg::Statement kChecks, kDefaults;

// Statements made of them. The judges return the numbers, in `all`, of the rules that the row of
// the JSON in $1 breaks; judge_change takes the subscriber's id as $2.
struct SubscriberRules {
  std::vector<BrokenRule> all;
  pg::Statement judge_new, judge_change;
  std::string insert;
};
SubscriberRules read_rules(const pg::Result& checks, const pg::Result& defaults);

}  // namespace eventhub::store
