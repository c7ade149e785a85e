// The owner's loop: one session that holds the shard locks, sends the heartbeat and writes, in
// order, what Lanes asks for. A lost session drops everything; the tables rebuild it.
#include <algorithm>

#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {

Task<void> Worker::own_loop() {
  Millis backoff{50};
  while (!(stopping_ && all_done())) {
    bool failed = false;
    try {
      co_await own_session();
      backoff = Millis{50};
    } catch (const std::exception& error) {
      failed = true;
      if (ownership_.connected()) backoff = Millis{50};
      lost_session(error.what());
    }
    if (!failed) break;
    if (stopping_ && in_flight_ == 0)
      break;  // what was not recorded is done again by the next owner
    co_await sleep_for(backoff);
    backoff = std::min(backoff * 2, Millis{2'000});
  }
  ownership_.disconnect();
}

void Worker::lost_session(std::string_view why) {
  log::warn("the dispatcher lost its session; its shards are rebuilt", {{"error", why}});
  ownership_.disconnect();
  lanes_.reset();
  cohorts_.clear();
  releasing_.clear();
  ++session_number_;
}

bool Worker::all_done() const {
  return in_flight_ == 0 && !lanes_.has_ops();
}

Task<void> Worker::own_session() {
  const SubscriberSetPtr subscribers = co_await context_.subscribers.refresh();
  lanes_.set_subscribers(subscribers);
  co_await ownership_.connect();
  heartbeat_due_ = balance_due_ = {};
  while (!(stopping_ && all_done())) {
    const Mono now = context_.clock.mono();
    if (now >= tick_due_) {
      tick_due_ = now + Millis{100};
      lanes_.tick();
    }
    if (now >= requests_due_ && !stopping_) {
      requests_due_ = now + Seconds{1};
      lanes_.poll_requests();
    }
    if (lanes_.has_ops() || now >= heartbeat_due_) {
      co_await write_batch();
    } else {
      if (now >= balance_due_ && !stopping_) co_await balance();
      observe();
      if (!lanes_.has_ops()) co_await work_.wait(Millis{100});
    }
  }
  co_await leave();
}

Task<void> Worker::write_batch() {
  const auto rows = static_cast<std::size_t>(context_.config.dispatcher.result_rows_max);
  const std::vector<LaneOp> ops = lanes_.take_ops(rows);
  const Mono sent = context_.clock.mono();
  std::vector<pg::Call> extra;
  const bool beats = sent >= heartbeat_due_;
  if (beats) extra = ownership_.heartbeat();
  const std::vector<std::int16_t> shards = ownership_.owned_list();
  const std::vector<LaneAnswer> answers =
      co_await writer_.write(ownership_.session(), ops, shards, std::move(extra));
  if (beats && !writer_.extra_results().empty()) {
    heartbeat_due_ = sent + context_.config.dispatcher.heartbeat;
    seen_ = ownership_.heard(writer_.extra_results(), sent);
    context_.wakeups.set_remote(store::Signal::messages, seen_.remote_dispatchers);
    if (seen_.expire_below > 0) lanes_.expire_below(seen_.expire_below);
    context_.metrics.role_success(name());
  }
  if (!ops.empty()) context_.metrics.batch("results", ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) lanes_.committed(ops[i], answers[i]);
  pump();
  // Resumed, paused or deleted while nothing new comes for them.
  if (!beats || seen_.subscribers_version == context_.subscribers.current()->version) co_return;
  const SubscriberSetPtr subscribers = co_await context_.subscribers.refresh();
  lanes_.set_subscribers(subscribers);
  pump();
}

// Takes shards nobody owns up to this node's part of them, gives away what is over it.
Task<void> Worker::balance() {
  balance_due_ = context_.clock.mono() + Millis{500};
  co_await hand_over();
  const int part = (kShards + seen_.dispatchers - 1) / seen_.dispatchers;
  const int owned = static_cast<int>(ownership_.owned().size());
  if (owned < part) co_return co_await take(part - owned);
  int surplus = owned - static_cast<int>(releasing_.size()) - part;
  for (const std::int16_t shard : ownership_.owned()) {
    if (surplus <= 0) break;
    if (!releasing_.insert(shard).second) continue;
    lanes_.begin_release(shard);
    --surplus;
  }
  if (!releasing_.empty()) balance_due_ = context_.clock.mono() + Millis{20};
}

Task<void> Worker::take(int count) {
  std::vector<Takeover> takeovers = co_await ownership_.acquire(count);
  if (takeovers.empty()) co_return;
  Cohort cohort;
  cohort.position = takeovers.front().lwm;
  bool waits = false;
  for (const Takeover& takeover : takeovers) {
    cohort.shards.push_back(takeover.shard);
    cohort.position = std::min(cohort.position, takeover.lwm);
    waits = waits || takeover.wait;
    lanes_.acquire(takeover);
  }
  cohort.rebuild_end = -1;  // the feed sets it: what is there now that the locks are held
  cohorts_.push_back(std::move(cohort));
  lanes_.poll_requests();
  log::info(
      "took shards",
      {{"count", takeovers.size()}, {"owned", ownership_.owned().size()}, {"unclean", waits}});
  context_.wakeups.of(store::Signal::messages).set();
}

Task<void> Worker::hand_over() {
  std::vector<std::int16_t> ready;
  for (const std::int16_t shard : releasing_) {
    if (lanes_.drained(shard)) ready.push_back(shard);
  }
  if (ready.empty() || lanes_.has_ops()) co_return;
  for (const std::int16_t shard : ready) {
    lanes_.release(shard);
    releasing_.erase(shard);
    drop_from_cohorts(shard);
  }
  co_await ownership_.release(ready, true);
  log::info("handed shards over", {{"count", ready.size()}, {"owned", ownership_.owned().size()}});
}

// The end of a drain: nothing is in the air and nothing uncommitted, so the next owner need not
// wait.
Task<void> Worker::leave() {
  std::vector<std::int16_t> clean, unclean;
  for (const std::int16_t shard : ownership_.owned()) {
    (lanes_.drained(shard) ? clean : unclean).push_back(shard);
  }
  if (!clean.empty()) co_await ownership_.release(clean, true);
  if (!unclean.empty()) co_await ownership_.release(unclean, false);
  co_await ownership_.leave();
  context_.wakeups.notify(store::Signal::control);
}

}  // namespace eventhub::dispatcher
