// The ordered writer: operations of Lanes -> one pipeline, one transaction -> answers. What
// PostgreSQL refuses for its content is isolated by halving.
#include "eventhub/store/lane_writer.hpp"

#include "eventhub/core/log.hpp"
#include "lane_batch.hpp"

namespace eventhub::store {
namespace {

// What the dead letters of a batch keep a copy of.
Task<LaneBatch::Events> events_of(Payloads& payloads, const std::vector<LaneOp>& ops) {
  LaneBatch::Events events;
  for (const LaneOp& op : ops) {
    const auto* dead = std::get_if<RecordAttempt>(&op);
    if (!dead || !is_dead_letter(dead->outcome) || dead->summarise) continue;
    events[dead->ref.event_seq] = nullptr;
  }
  std::vector<std::int64_t> seqs;
  for (const auto& [seq, none] : events) seqs.push_back(seq);
  const std::vector<EventPtr> found = co_await payloads.get_all(std::move(seqs));
  std::size_t i = 0;
  for (auto& [seq, event] : events) event = found[i++];
  co_return events;
}

}  // namespace

Task<std::vector<LaneAnswer>> LaneWriter::attempt(pg::Connection& session, std::vector<LaneOp> ops,
                                                  const std::vector<std::int16_t>& shards,
                                                  std::vector<pg::Call> extra) {
  const LaneBatch::Events events = co_await events_of(payloads_, ops);
  LaneBatch batch(ops, shards, events);
  std::vector<pg::Call> calls = batch.take_calls();
  const std::size_t own = calls.size();
  for (pg::Call& call : extra) calls.push_back(std::move(call));
  if (calls.empty()) co_return std::vector<LaneAnswer>(ops.size());
  std::vector<pg::Result> results = co_await session.run_all(std::move(calls));
  std::vector<LaneAnswer> answers = batch.answers(results);
  extra_results_.assign(results.begin() + static_cast<std::ptrdiff_t>(own), results.end());
  co_return answers;
}

// The bad row itself: first without its texts; a late attempt whose partition is gone is kept in
// redelivery_attempts.
Task<std::vector<LaneAnswer>> LaneWriter::alone(pg::Connection& session, std::vector<LaneOp> ops,
                                                const std::vector<std::int16_t>& shards) {
  auto* record = std::get_if<RecordAttempt>(&ops[0]);
  if (record) {
    record->error = "the database refused the text of this error";
    record->response.clear();
  }
  bool late = false;
  std::vector<LaneAnswer> answers;
  try {
    answers = co_await attempt(session, ops, shards, {});
  } catch (const pg::Error& error) {
    late = record && error.missing_partition() && !error.connection_lost;
    if (!late) throw;
  }
  if (!late) co_return answers;
  record->redelivery = true;
  answers = co_await attempt(session, std::move(ops), shards, {});
  co_return answers;
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

Task<std::vector<LaneAnswer>> LaneWriter::write(pg::Connection& session,
                                                const std::vector<LaneOp>& ops,
                                                const std::vector<std::int16_t>& shards,
                                                std::vector<pg::Call> extra) {
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
