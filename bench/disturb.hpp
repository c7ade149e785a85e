#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/hub_database.hpp"
#include "bench/producer.hpp"
#include "bench/shape.hpp"
#include "bench/sink.hpp"
#include "eventhub/core/time.hpp"

// What makes the second half of a run differ from the first: something that must not cost the
// measured subscribers anything.
namespace eventhub::bench {

enum class Disturb {
  none,
  backlog,     // `rows` undelivered messages of a subscriber that is dead
  longtx,      // a transaction is held open in PostgreSQL: a snapshot and a transaction id
  slowdead,    // one more subscriber takes `slow-ms`, another one is dead
  blockedkey,  // one key of the first subscriber is refused; `rows` more events wait behind it
  keys,        // every event has an idempotency key, and `rows` keys are stored
  growth,      // `rows` delivered events are stored in `partitions` partitions
};
std::string_view to_string(Disturb kind);
Disturb disturb_named(std::string_view name);  // throws std::invalid_argument
// Whether the kind has a parameter of this name.
bool has_parameter(Disturb kind, std::string_view name);

struct DisturbPlan {
  Disturb kind = Disturb::none;
  std::int64_t rows = 0;
  int partitions = 200;
  Millis slow{5'000};
  bool refuses = false;  // dead: connections are refused; otherwise they are never answered

  std::string describe() const;
};

// Subscribers of the disturbance's own, numbered after the measured ones. What they get is checked
// for being what was posted, not for being all of it.
std::uint32_t bystanders(Disturb kind);
// The one key that the receiver refuses; no other load has it.
inline constexpr std::uint32_t kBlockedKey = 4'000'000'000;

class Disturbance {
 public:
  // What it needs of the run.
  struct Tools {
    HubDatabase& database;
    std::string conninfo;
    Shape shape;
    std::vector<std::uint16_t> ports;           // of the receiver
    std::function<void(const Load&)> post;      // posts, into the log
    std::function<void(std::string_view)> say;  // for people
  };
  Disturbance(DisturbPlan plan, Tools tools);

  // Returns when the hub has taken note of everything.
  void prepare();
  // What the load of the second half has that the first had not.
  void change(Load& load) const;
  // After the measured half. Throws std::runtime_error when the disturbance had ended before.
  void verify();

 private:
  void backlog();
  void slow_and_dead();
  void blocked_key();
  void stored_keys();
  void growth();
  void make_partitions(int count, std::int64_t rows_each);
  void wait_until_passed(std::int64_t event_seq, bool low_water);
  std::string dead_url();
  void progress(std::string_view what, std::int64_t done);

  const DisturbPlan plan_;
  const Tools tools_;
  std::vector<Listener> dead_;
  std::unique_ptr<HubDatabase> holder_;  // of the open transaction
  std::int64_t said_ = 0;
};

}  // namespace eventhub::bench
