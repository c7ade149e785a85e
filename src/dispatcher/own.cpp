// The owner's loop: one session that holds the shard locks (balance.cpp), sends the heartbeat and
// writes, in order, what Lanes asks for (write.cpp). A lost session drops everything; the tables
// rebuild it.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {
namespace {

constexpr Millis kAwayLook{50};

}  // namespace

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
      log::warn("the dispatcher lost its session; its shards are rebuilt",
                {{"error", error.what()}});
    }
    if (!failed && !leaving()) break;
    forget_session();
    if (stopping_ && in_flight_ == 0)
      break;  // what was not recorded is done again by the next owner
    co_await stay_away(backoff);
    backoff = std::min(backoff * 2, Millis{2'000});
  }
  ownership_.disconnect();
}

void Worker::forget_session() {
  ownership_.disconnect();
  lanes_.reset();
  payloads_.clear();
  context_.fresh_messages.clear();
  cohorts_.clear();
  releasing_.clear();
  stuck_ = false;
  leave_by_ = {};
  ++session_number_;
  EVENTHUB_FAULT_POINT("own.heartbeat_lost");
}

// The watchdog. A process that was held up for a send_lease could start nothing meanwhile, and one
// that is held up again and again, but gets to its heartbeat in between, would keep its shards and
// crawl. So it hands them to the others, waits for no more than another send_lease for what is in
// the air, and stays away until it has been on time for as long. Alone it keeps them: there is
// nobody to do better.
void Worker::held_up(Millis late) {
  const Millis lease = context_.config.dispatcher.send_lease;
  if (late < lease || stopping_ || seen_.dispatchers < 2) return;
  away_until_ = context_.clock.mono() + lease;
  if (leaving() || !ownership_.connected()) return;
  leave_by_ = away_until_;
  balance_due_ = {};
  work_.set();
  if (ownership_.owned().empty()) return;
  context_.metrics.shards_given_up();
  log::warn("held up for too long: this dispatcher gives its shards to the others",
            {{"milliseconds", late.count()}, {"shards", ownership_.owned().size()}});
}

// For `pause` at least. This loop may wake before the one that tells of a stall, so it looks for
// itself, all the time.
Task<void> Worker::stay_away(Millis pause) {
  Mono now = context_.clock.mono();
  const Mono least = now + pause;
  while (now < least || (now < away_until_ && !stopping_)) {
    const Mono before = now;
    co_await sleep_for(kAwayLook);
    now = context_.clock.mono();
    held_up(std::chrono::floor<Millis>(now - before));
  }
}

bool Worker::given_up() const {
  return leaving() && (ownership_.owned().empty() || context_.clock.mono() >= leave_by_);
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
  if (context_.clock.mono() < away_until_) leave_by_ = away_until_;  // held up meanwhile
  heartbeat_due_ = balance_due_ = {};
  while (!ended() && !given_up()) {
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
    const Mono due = std::min(lanes_.write_due(), heartbeat_due_);
    const Mono before = context_.clock.mono();
    if (before >= due) {
      co_await write_batch();
    } else {
      asleep_until_ = std::min(due, before + Millis{100});
      co_await work_.wait(std::chrono::ceil<Millis>(asleep_until_ - before));
    }
  }
  co_await leave();
}

// Somebody has given shards away, wants a dead letter again or has taken a payload away: no need to
// wait for the next look.
Task<void> Worker::control_loop() {
  ++loops_;
  while (!stopped_) {
    const bool woken = co_await context_.wakeups.of(store::Signal::control).wait(Millis{500});
    if (!woken) continue;
    requests_due_ = balance_due_ = heartbeat_due_ = {};
    work_.set();
  }
  --loops_;
}

// The end of a drain, or of a process that is held up too often. Where nothing is in the air and
// nothing uncommitted, the next owner need not wait.
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
