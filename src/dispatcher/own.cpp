// The owner's loop: one session that holds the shard locks (balance.cpp), sends the heartbeat and
// writes, in order, what Lanes asks for (write.cpp). A lost session drops everything; the tables
// rebuild it.
#include <algorithm>

#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {

Task<void> Worker::own_loop() {
  Millis backoff{50};
  while (!ended()) {
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
  payloads_.clear();
  cohorts_.clear();
  releasing_.clear();
  stuck_ = false;
  ++session_number_;
}

// Everything is written down, or the time for that is over.
bool Worker::ended() const {
  if (!stopping_) return false;
  const bool done = in_flight_ == 0 && lanes_.idle() && !lanes_.has_ops();
  return done || context_.clock.mono() >= drain_until_;
}

Task<void> Worker::own_session() {
  const SubscriberSetPtr subscribers = co_await context_.subscribers.refresh();
  lanes_.set_subscribers(subscribers);
  co_await ownership_.connect();
  heartbeat_due_ = balance_due_ = {};
  while (!ended()) {
    const Mono now = context_.clock.mono();
    if (now >= tick_due_) {
      tick_due_ = now + Millis{100};
      lanes_.tick();
    }
    if (now >= requests_due_ && !stopping_) {
      requests_due_ = now + Seconds{1};
      lanes_.poll_requests();
    }
    if (now >= balance_due_) co_await balance();
    observe();
    if (lanes_.has_ops() || context_.clock.mono() >= heartbeat_due_) {
      co_await write_batch();
    } else {
      co_await work_.wait(Millis{100});
    }
  }
  co_await leave();
}

// Somebody has given shards away or wants a dead letter again: no need to wait for the next look.
Task<void> Worker::control_loop() {
  ++loops_;
  while (!stopped_) {
    const bool woken = co_await context_.wakeups.of(store::Signal::control).wait(Millis{500});
    if (!woken) continue;
    requests_due_ = balance_due_ = {};
    work_.set();
  }
  --loops_;
}

// The end of a drain. Where nothing is in the air and nothing uncommitted, the next owner need not
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
