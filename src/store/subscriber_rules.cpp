// The rules of a row of `subscribers` are the table's own constraints. Here they become statements
// that ask each of them about a row that is not written yet. Called by subscriber_admin.cpp.
#include "store/subscriber_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace eventhub::store {
namespace {

constexpr std::array<std::string_view, 26> kColumns{"name",
                                                    "event_type",
                                                    "event_types",
                                                    "organization_id",
                                                    "filter",
                                                    "webhook_url",
                                                    "delivery_guarantee",
                                                    "ordering_enabled",
                                                    "ordering_key",
                                                    "retry_limit",
                                                    "retry_backoff_seconds",
                                                    "retry_jitter",
                                                    "retry_statuses",
                                                    "is_active",
                                                    "paused",
                                                    "on_dead",
                                                    "max_in_flight",
                                                    "timeout_ms",
                                                    "rate_limit",
                                                    "circuit_failures",
                                                    "circuit_open_ms",
                                                    "body",
                                                    "headers",
                                                    "secret",
                                                    "created_by",
                                                    "paused_reason"};
// The last is written by pausing only.
constexpr std::size_t kWritten = kColumns.size() - 1;

std::string joined(std::string_view prefix, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < kWritten; ++i) {
    if (i > 0) text += separator;
    text.append(prefix).append(kColumns[i]);
  }
  return text;
}

// One element per rule: its number when the row breaks it.
std::string broken(const pg::Result& checks) {
  std::string text = "SELECT array_remove(ARRAY[";
  for (int row = 0; row < checks.rows(); ++row) {
    text += fmt::format("{}CASE WHEN NOT ({}) THEN '{}' END", row > 0 ? ", " : "",
                        checks.text(row, 1), row);
  }
  return text + "]::text[], NULL) FROM ";
}

std::string new_row(const pg::Result& defaults) {
  std::string text = "(SELECT ";
  for (int row = 0; row < defaults.rows(); ++row) {
    text += fmt::format("{}{} AS {}", row > 0 ? ", " : "", defaults.text(row, 1),
                        defaults.text(row, 0));
  }
  return text + ") d, LATERAL jsonb_populate_record(NULL::subscribers, to_jsonb(d) || $1::jsonb) n";
}

}  // namespace

const pg::Statement kChecks{
    "subscriber_checks",
    "SELECT conname::text, pg_get_expr(conbin, conrelid) FROM pg_constraint"
    " WHERE conrelid = 'subscribers'::regclass AND contype = 'c'"
    " UNION ALL SELECT attname || '_is_needed', format('%I IS NOT NULL', attname)"
    " FROM pg_attribute WHERE attrelid = 'subscribers'::regclass AND attnotnull AND NOT"
    " attisdropped AND attname = ANY(string_to_array('" +
        joined("", ",") + "', ',')) ORDER BY 1"};

const pg::Statement kDefaults{
    "subscriber_defaults",
    "SELECT a.attname::text, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d"
    " JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum"
    " WHERE d.adrelid = 'subscribers'::regclass AND a.attname = ANY(string_to_array('" +
        joined("", ",") + "', ','))"};

std::string subscriber_columns(std::string_view prefix) {
  return joined(prefix, ", ");
}

std::string changed_row(std::string_view parameter) {
  return fmt::format(
      "jsonb_populate_record(NULL::subscribers, to_jsonb(s) || {0}::jsonb ||"
      " CASE jsonb_typeof({0}::jsonb -> 'headers') WHEN 'object' THEN jsonb_build_object('headers',"
      " jsonb_strip_nulls(s.headers || ({0}::jsonb -> 'headers'))) ELSE '{{}}' END) n",
      parameter);
}

bool is_subscriber_column(std::string_view name) {
  return std::find(kColumns.begin(), kColumns.begin() + kWritten, name) !=
         kColumns.begin() + kWritten;
}

std::string subscriber_column_of(std::string_view constraint) {
  std::string_view best;
  for (const std::string_view column : kColumns) {
    const bool named = constraint.starts_with(column) && constraint.size() > column.size() &&
                       constraint[column.size()] == '_';
    if (named && column.size() > best.size()) best = column;
  }
  return std::string(best);
}

SubscriberRules read_rules(const pg::Result& checks, const pg::Result& defaults) {
  SubscriberRules rules;
  for (int row = 0; row < checks.rows(); ++row) {
    const std::string name(checks.text(row, 0));
    rules.all.push_back({subscriber_column_of(name), name});
  }
  const std::string from = new_row(defaults);
  // The rules name columns without a table, so the row has to be the only one in sight.
  rules.judge_new = {"subscriber_judge_new", broken(checks) + "(SELECT n.* FROM " + from + ") n"};
  rules.judge_change = {"subscriber_judge_change", broken(checks) +
                                                       "(SELECT n.* FROM subscribers s, LATERAL " +
                                                       changed_row("$1") + " WHERE s.id = $2) n"};
  rules.insert = "INSERT INTO subscribers AS s (" + subscriber_columns("") + ") SELECT " +
                 subscriber_columns("n.") + " FROM " + from;
  return rules;
}

}  // namespace eventhub::store
