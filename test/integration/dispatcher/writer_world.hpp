#pragma once
// The ordered writer on a session of its own, and attempts to give it.
#include "integration/dispatcher/store_world.hpp"

namespace eventhub::test {

inline RecordAttempt attempt(std::int64_t event_seq, Outcome outcome) {
  RecordAttempt op;
  op.ref = {event_seq, 1};
  op.lane = {0, 1, std::nullopt};
  op.attempt = 1;
  op.outcome = outcome;
  op.http_status = 500;
  op.attempted_at = SystemClock().now();
  op.error = "said " + std::to_string(event_seq);
  op.response = "answered " + std::to_string(event_seq);
  op.reason = is_dead_letter(outcome) ? "retries" : "";
  return op;
}

struct WriterWorld : StoreWorld {
  explicit WriterWorld(std::int64_t partition_rows = 1'000)
      : StoreWorld(partition_rows), writer(hub.context) {
    session = connect();
  }
  std::vector<LaneAnswer> write(const std::vector<LaneOp>& ops) {
    return run(io, writer.write(*session, ops, kEveryShard, {}));
  }
  store::LaneWriter writer;
  pg::ConnectionPtr session;
};

}  // namespace eventhub::test
