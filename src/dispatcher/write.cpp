// Writing what Lanes queued, with the heartbeat in the same transaction. A fault that may pass is
// waited out with the batch in hand, and nothing is sent meanwhile; any other one is the end of the
// session.
#include <algorithm>
#include <utility>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {
namespace {

// Deadlock and the like (40), out of something (53), a lock or a setting in the way (55), cancelled
// (57), input and output (58).
bool may_pass(const pg::Error& error) {
  if (error.connection_lost || error.outcome_unknown) return false;
  const std::string_view state = std::string_view(error.sqlstate).substr(0, 2);
  return state == "40" || state == "53" || state == "55" || state == "57" || state == "58";
}

}  // namespace

void Worker::heard(std::span<const pg::Result> results, Mono sent) {
  heartbeat_due_ = sent + context_.config.dispatcher.heartbeat;
  seen_ = ownership_.heard(results, sent);
  context_.wakeups.set_remote(store::Signal::messages, seen_.remote_dispatchers);
  if (seen_.expire_below > 0) lanes_.expire_below(seen_.expire_below);
  if (std::exchange(expunged_seen_, seen_.expunged) != seen_.expunged) payloads_.clear();
  context_.metrics.role_success(name());
}

Task<void> Worker::write_batch() {
  const auto rows = static_cast<std::size_t>(context_.config.dispatcher.result_rows_max);
  const std::vector<LaneOp> ops = lanes_.take_ops(rows);
  const Mono due = heartbeat_due_;
  std::vector<LaneAnswer> answers = co_await write_until_done(ops);
  if (!ops.empty()) context_.metrics.batch("results", ops.size());
  EVENTHUB_FAULT_POINT_IF(!ops.empty(), "disp.record_after_commit");
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (std::holds_alternative<LoadRedeliveries>(ops[i])) co_await meet(answers[i].messages);
  }
  for (std::size_t i = 0; i < ops.size(); ++i) lanes_.committed(ops[i], answers[i]);
  pump();
  if (due != heartbeat_due_) co_await notice_subscribers();
}

Task<std::vector<LaneAnswer>> Worker::write_until_done(const std::vector<LaneOp>& ops) {
  const std::vector<std::int16_t> shards = ownership_.owned_list();
  for (Millis pause{50};; pause = std::min(pause * 2, Millis{1'000})) {
    std::string fault;
    try {
      const Mono sent = context_.clock.mono();
      std::vector<pg::Call> extra;
      if (sent >= heartbeat_due_) extra = ownership_.heartbeat();
      std::vector<LaneAnswer> answers =
          co_await writer_.write(ownership_.session(), ops, shards, std::move(extra));
      if (!writer_.extra_results().empty()) heard(writer_.extra_results(), sent);
      if (stuck_) log::info("results can be written again");
      stuck_ = false;
      co_return answers;
    } catch (const pg::Error& error) {
      const bool over = stopping_ && context_.clock.mono() >= drain_until_;
      if (over || !may_pass(error) || !ownership_.connected()) throw;
      fault = error.what();
    }
    if (!stuck_)
      log::error("results cannot be written; nothing is sent until they can", {{"error", fault}});
    stuck_ = true;
    context_.metrics.internal_error("results_stuck");
    co_await sleep_for(pause);
    co_await heartbeat_alone();
  }
}

// While a batch cannot be written: a silent session would be ended.
Task<void> Worker::heartbeat_alone() {
  const Mono sent = context_.clock.mono();
  try {
    const std::vector<pg::Result> results =
        co_await ownership_.session().run_all(ownership_.heartbeat());
    heard(results, sent);
  } catch (const pg::Error& error) {
    if (!may_pass(error)) throw;
  }
}

// A replay may be for a subscriber that is younger than the copy here: it is not a deleted one.
// What cannot be told is left where it is.
Task<void> Worker::meet(std::vector<LoadedMessage>& loaded) {
  const auto is_strange = [this](const LoadedMessage& row) {
    return !context_.subscribers.current()->by_sid.contains(row.ref.sid);
  };
  if (loaded.empty()) co_return;
  if (std::ranges::any_of(loaded, is_strange) && !co_await read_subscribers()) {
    std::erase_if(loaded, is_strange);
  }
  lanes_.set_subscribers(context_.subscribers.current());
}

Task<bool> Worker::read_subscribers() {
  try {
    co_await context_.subscribers.refresh();
    co_return true;
  } catch (const pg::Error& error) {  // on another connection
    log::warn("subscribers could not be read", {{"error", error.what()}});
    co_return false;
  }
}

// Resumed, paused or deleted while nothing new comes for them. Another role of this process may
// have read them already.
Task<void> Worker::notice_subscribers() {
  if (seen_.subscribers_version != context_.subscribers.current()->version) {
    co_await read_subscribers();  // or with the next heartbeat
  }
  lanes_.set_subscribers(context_.subscribers.current());
  pump();
}

}  // namespace eventhub::dispatcher
