#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eventhub/store/queries.hpp"

namespace eventhub::store {

// A constraint of the table that a row would break: its name says what is wanted of the column.
struct BrokenRule {
  std::string column;
  std::string rule;
};

// A row as the API shows it: JSON without secrets and without the values of headers. Its `problem`
// says why this process does not call it, if its secrets are encrypted with a key that is not here.
struct SubscriberText {
  Uuid id;
  std::string json;
};

// A subscriber that is not there, the rules that its row would break, or the row.
using SubscriberChange = std::variant<std::monostate, std::vector<BrokenRule>, SubscriberText>;

struct SubscriberFilter {
  std::optional<std::int32_t> before;  // a cursor: rows with a smaller sid
  std::optional<std::string> name, event_type, delivery_guarantee;
  std::optional<bool> is_active, paused;
  int limit = 50;
};
struct SubscriberPage {
  std::vector<std::string> rows;
  std::optional<std::int32_t> next;
};

struct SecretRotation {
  std::string secret;  // sealed
  Seconds overlap{0};  // for so long the former one signs, too
  bool force = false;  // although the one before it still signs: that one ends
};

// Columns that a caller may write; everything else of a row is the hub's.
bool is_subscriber_column(std::string_view name);

// What the management API does to the table `subscribers`. A row is judged by the constraints of
// the table and nothing else: they are read from the catalogue and all of them are asked, so that
// every fault is told at once. Other processes notice a change as they notice one by SQL.
class SubscriberAdmin {
 public:
  explicit SubscriberAdmin(Context& context, Queries& queries)
      : context_(context), queries_(queries) {}

  Task<SubscriberPage> list(SubscriberFilter filter);
  Task<std::optional<std::string>> get(Uuid id);
  // `fields` is a JSON object of columns; PostgreSQL must be able to read each value. Secrets in it
  // are stored as they are: they are sealed by the caller.
  Task<SubscriberChange> create(std::string fields);
  // Columns that are not in `fields` stay; headers are merged, and null takes one away.
  Task<SubscriberChange> change(Uuid id, std::string fields);
  Task<std::optional<std::string>> pause(Uuid id, std::optional<std::string> reason);
  Task<std::optional<std::string>> resume(Uuid id);
  // Nullopt also when a rotation is under way and `force` is not set.
  Task<std::optional<std::string>> rotate_secret(Uuid id, SecretRotation wanted);
  // Its open messages end as cancelled.
  Task<bool> remove(Uuid id);

 private:
  Task<void> learn_rules(Queries::Lease& connection);
  Task<SubscriberChange> write(Queries::Lease& connection, const pg::Statement& judge,
                               const pg::Statement& statement, pg::Params params);
  Task<std::optional<std::string>> one(const pg::Statement& statement, pg::Params params);
  void tell() { context_.wakeups.notify(Signal::control); }

  Context& context_;
  Queries& queries_;
  std::vector<BrokenRule> rules_;  // those there are; empty until they are read
  pg::Statement judge_new_, judge_change_, insert_;
};

}  // namespace eventhub::store
