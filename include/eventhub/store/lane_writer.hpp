#pragma once
#include <map>
#include <vector>

#include "eventhub/core/lane_ops.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// Carries out what Lanes queued: one transaction per call on the session that holds the shard
// locks. The operations of a batch commute but for this order, which is kept: parks, attempts with
// all they remove or update, low waters, then reads.
class LaneWriter {
 public:
  explicit LaneWriter(Context& context) : context_(context) {}

  // Answers stand where their operation stands. `extra` runs last in the same transaction
  // (heartbeat); its result is returned by extra_result(). Data that PostgreSQL refuses (classes
  // 21, 22, 23) is found by halving the batch, in order; the one bad operation is written without
  // its texts.
  Task<std::vector<LaneAnswer>> write(pg::Connection& session, const std::vector<LaneOp>& ops,
                                      const std::vector<std::int16_t>& shards,
                                      std::vector<pg::Call> extra);
  const std::vector<pg::Result>& extra_results() const { return extra_results_; }

 private:
  Task<std::map<std::int64_t, Uuid>> event_ids(pg::Connection& session,
                                               std::vector<std::int64_t> seqs);
  Task<std::vector<LaneAnswer>> attempt(pg::Connection& session, const std::vector<LaneOp>& ops,
                                        const std::vector<std::int16_t>& shards,
                                        std::vector<pg::Call> extra);
  Task<std::vector<LaneAnswer>> alone(pg::Connection& session, std::vector<LaneOp> ops,
                                      const std::vector<std::int16_t>& shards);
  Task<std::vector<LaneAnswer>> halves(pg::Connection& session, std::vector<LaneOp> ops,
                                       const std::vector<std::int16_t>& shards);
#ifdef EVENTHUB_FAULTS
  // The mutant no_fence: results on a session that holds no lock.
  Task<std::vector<LaneAnswer>> unfenced(pg::Connection& session, const std::vector<LaneOp>& ops,
                                         const std::vector<std::int16_t>& shards,
                                         std::vector<pg::Call> extra);
#endif
  Context& context_;
  std::vector<pg::Result> extra_results_;
};

}  // namespace eventhub::store
