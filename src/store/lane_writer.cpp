// The ordered writer: operations of Lanes -> one pipeline, one transaction -> answers. What
// PostgreSQL refuses for its content is isolated by halving.
#include "eventhub/store/lane_writer.hpp"

#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "lane_batch.hpp"
#include "lane_sql.hpp"

namespace eventhub::store {
namespace {

constexpr std::string_view kInternal = "internal";

}  // namespace

// Message ids of dead letters contain a bit of their event's id.
Task<std::map<std::int64_t, Uuid>> LaneWriter::event_ids(pg::Connection& session,
                                                         std::vector<std::int64_t> seqs) {
  LaneBatch::EventIds ids;
  if (seqs.empty()) co_return ids;
  const auto [first, last] = std::minmax_element(seqs.begin(), seqs.end());
  pg::Params params;
  params.i64s(seqs).i64(*first).i64(*last);
  const pg::Result rows = co_await session.run(sql::kEventIds, std::move(params));
  for (int i = 0; i < rows.rows(); ++i) ids[rows.i64(i, 0)] = rows.uuid(i, 1);
  co_return ids;
}

Task<std::vector<LaneAnswer>> LaneWriter::attempt(pg::Connection& session,
                                                  const std::vector<LaneOp>& ops,
                                                  const std::vector<std::int16_t>& shards,
                                                  std::vector<pg::Call> extra) {
  const LaneBatch::EventIds ids = co_await event_ids(session, LaneBatch::dead_events(ops));
  LaneBatch batch(ops, shards, ids);
  std::vector<pg::Call> calls = batch.take_calls();
  const std::size_t own = calls.size();
  for (pg::Call& call : extra) calls.push_back(std::move(call));
  if (calls.empty()) co_return std::vector<LaneAnswer>(ops.size());
  EVENTHUB_FAULT_BEFORE_COMMIT_IF(!ids.empty(), "dlq.before_commit");
  EVENTHUB_FAULT_BEFORE_COMMIT_IF(!ops.empty(), "disp.record_before_commit");
  std::vector<pg::Result> results = co_await session.run_all(std::move(calls));
  std::vector<LaneAnswer> answers = batch.answers(results);
  extra_results_.assign(results.begin() + static_cast<std::ptrdiff_t>(own), results.end());
  co_return answers;
}

// The bad row itself: first without its texts, then, when its partition is gone, as an attempt in
// redelivery_attempts, at last as a dead letter with the reason `internal`.
Task<std::vector<LaneAnswer>> LaneWriter::alone(pg::Connection& session, std::vector<LaneOp> ops,
                                                const std::vector<std::int16_t>& shards) {
  auto* record = std::get_if<RecordAttempt>(&ops[0]);
  if (record) {
    record->error = "the database refused the text of this error";
    record->response.clear();
  }
  for (;;) {
    bool late = false;
    try {
      std::vector<LaneAnswer> answers = co_await attempt(session, ops, shards, {});
      co_return answers;
    } catch (const pg::Error& error) {
      if (!record || !error.bad_data() || error.connection_lost) throw;
      late = error.missing_partition() && !record->redelivery;
      if (!late && record->reason == kInternal) throw;
    }
    if (late) {
      record->redelivery = true;
      continue;
    }
    log::error("a result cannot be stored and becomes a dead letter",
               {{"event_seq", record->ref.event_seq}, {"sid", record->ref.sid}});
    record->outcome = Outcome::dead;
    record->reason = kInternal;
  }
}

Task<std::vector<LaneAnswer>> LaneWriter::halves(pg::Connection& session, std::vector<LaneOp> ops,
                                                 const std::vector<std::int16_t>& shards) {
  std::vector<LaneAnswer> answers;
  if (ops.size() == 1) {
    answers = co_await alone(session, std::move(ops), shards);
    co_return answers;
  }
  const auto middle = ops.begin() + static_cast<std::ptrdiff_t>(ops.size() / 2);
  std::vector<std::vector<LaneOp>> parts{{ops.begin(), middle}, {middle, ops.end()}};
  for (std::vector<LaneOp>& part : parts) {
    bool refused = false;
    std::vector<LaneAnswer> answered;
    try {
      answered = co_await attempt(session, part, shards, {});
    } catch (const pg::Error& error) {
      if (!error.bad_data() || error.connection_lost) throw;
      refused = true;
    }
    if (refused) answered = co_await halves(session, part, shards);
    std::move(answered.begin(), answered.end(), std::back_inserter(answers));
  }
  co_return answers;
}

#ifdef EVENTHUB_FAULTS
Task<std::vector<LaneAnswer>> LaneWriter::unfenced(pg::Connection& session,
                                                   const std::vector<LaneOp>& ops,
                                                   const std::vector<std::int16_t>& shards,
                                                   std::vector<pg::Call> extra) {
  extra_results_.clear();
  Database::Lease other = co_await context_.database.lease();
  std::vector<LaneAnswer> answers = co_await attempt(*other, ops, shards, {});
  extra_results_ = co_await session.run_all(std::move(extra));
  co_return answers;
}
#endif

Task<std::vector<LaneAnswer>> LaneWriter::write(pg::Connection& session,
                                                const std::vector<LaneOp>& ops,
                                                const std::vector<std::int16_t>& shards,
                                                std::vector<pg::Call> extra) {
  EVENTHUB_MUTATE("no_fence", co_return co_await unfenced(session, ops, shards, std::move(extra)));
  std::string refusal;
  try {
    std::vector<LaneAnswer> answers = co_await attempt(session, ops, shards, std::move(extra));
    co_return answers;
  } catch (const pg::Error& error) {
    if (!error.bad_data() || error.connection_lost || ops.empty()) throw;
    refusal = error.what();
  }
  log::warn("a batch of results was refused; looking for the row", {{"error", refusal}});
  context_.metrics.internal_error("results_refused");
  extra_results_.clear();
  std::vector<LaneAnswer> answers = co_await halves(session, ops, shards);
  co_return answers;
}

}  // namespace eventhub::store
