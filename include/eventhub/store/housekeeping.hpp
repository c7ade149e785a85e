#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "eventhub/store/lock_session.hpp"

namespace eventhub::store {

// What the cleanup role does, each a short transaction of its own, on the session that holds the
// cleanup lock. All of it may be left out for a while: nothing else waits for it.
class Housekeeping {
 public:
  static Task<std::unique_ptr<Housekeeping>> connect(Context& context);
  Task<bool> try_acquire() { return connection_.try_acquire(); }
  Task<void> release() { return connection_.release(); }

  // Ends the lock sessions of nodes whose heartbeat is older than dispatcher.dead_node_after by the
  // database's clock, so that their shards become free, and sessions with a lock of the hub whose
  // process stopped in the middle of a write. Cheap: also keeps this session alive.
  Task<void> end_dead_sessions();
  // Room for the next events, and a warning when there are too many partitions.
  Task<void> ensure_partitions();
  // Tells the owners of shards below which event_seq parked messages are past retention.
  Task<void> publish_expiry();
  // Drops what is past retention, fanned out, and open for nobody. Returns how many.
  Task<int> drop_partitions();
  // Returns how many rows went.
  Task<std::int64_t> delete_dead_letters();
  Task<void> delete_redelivery_attempts();
  // Pauses subscribers with nothing but failures for webhook.pause_after_failing.
  Task<void> pause_failing();
  // Makes events of what operators want to know (operator_events).
  Task<void> publish_operator_events();
  Task<void> forget_nodes();
  // Hot partitions are never vacuumed, so their BRIN indexes are brought up to date here.
  Task<void> summarize_indexes();
  Task<void> export_gauges();

 private:
  struct Backend {
    std::int32_t pid;
    Time started;
    auto operator<=>(const Backend&) const = default;
  };
  Housekeeping(Context& context, LockSession connection)
      : context_(context), connection_(std::move(connection)) {}
  Task<void> end_session(Backend backend, std::string node);
  Task<std::string> held_by(Partition partition);
  Task<bool> drop(Partition partition);
  Task<void> warn_of_many();

  Context& context_;
  LockSession connection_;
  std::vector<Backend> ended_;    // told to end, not gone yet
  std::size_t warned_at_ = 0;     // number of partitions at the last warning
  std::int32_t summarized_ = -1;  // the newest partition whose indexes were brought up to date
};

}  // namespace eventhub::store
