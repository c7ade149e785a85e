// The feed's loop: reads windows of `messages` for the owned shards into Lanes, rebuilding first
// what was taken over. Stops while Lanes is full.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/core/poll_pace.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {

Task<void> Worker::feed_loop() {
  ++loops_;
  pg::ConnectionPtr connection;
  std::unique_ptr<store::MessageFeed> feed;
  PollPace pace(told_range(context_.config.poll_interval), context_.clock.mono());
  while (!stopping_) {
    bool failed = false;
    bool more = false;
    try {
      if (!connection || !connection->healthy()) {
        feed.reset();
        connection = co_await context_.database.connect(store::Profile::hot);
        feed = std::make_unique<store::MessageFeed>(context_, *connection);
      }
      more = co_await feed_some(*feed);
    } catch (const std::exception& error) {
      log::warn("the dispatcher's feed failed", {{"error", error.what()}});
      failed = true;
    }
    if (failed) {
      feed.reset();
      connection.reset();
      co_await sleep_for(Millis{200});
      continue;
    }
    // The signal is the hurry, the poll is the truth; it slows down while nothing comes.
    bool woken = more;
    if (!more) woken = co_await context_.wakeups.of(store::Signal::messages).wait(pace.pause());
    pace.waited(woken, context_.clock.mono());
  }
  --loops_;
}

Worker::Cohort* Worker::cohort_of(std::uint64_t id) {
  const auto found =
      std::find_if(cohorts_.begin(), cohorts_.end(), [id](const Cohort& c) { return c.id == id; });
  return found == cohorts_.end() ? nullptr : &*found;
}

// What was fanned out when the locks were got is read together with what became of it.
Task<void> Worker::begin_rebuild(store::MessageFeed& feed, std::uint64_t id) {
  const std::int64_t end = co_await feed.end_of_messages();
  if (Cohort* cohort = cohort_of(id)) cohort->rebuild_end = end;
}

// Not past where another cohort stands, so that both can merge there.
std::int64_t Worker::window_limit(const Cohort& cohort) const {
  std::int64_t limit = window_events_;
  for (const Cohort& other : cohorts_) {
    if (other.position > cohort.position) limit = std::min(limit, other.position - cohort.position);
  }
  if (cohort.position < cohort.rebuild_end) {
    limit = std::min(limit, cohort.rebuild_end - cohort.position);
  }
  return limit;
}

// One window of the cohort that is furthest behind. True when there may be more.
Task<bool> Worker::feed_some(store::MessageFeed& feed) {
  merge_cohorts();
  if (cohorts_.empty() || !lanes_.wants_feed()) co_return false;
  const std::uint32_t session = session_number_;
  const Cohort cohort =
      *std::min_element(cohorts_.begin(), cohorts_.end(),
                        [](const Cohort& a, const Cohort& b) { return a.position < b.position; });
  if (cohort.rebuild_end < 0) {
    co_await begin_rebuild(feed, cohort.id);
    co_return true;
  }
  const auto limit = static_cast<int>(window_limit(cohort));
  const bool rebuilds = cohort.position < cohort.rebuild_end;
  store::FeedWindow window;
  if (rebuilds) {
    window = co_await feed.rebuild(cohort.position, limit, cohort.shards);
  } else {
    window = co_await feed.read(cohort.position, limit, cohort.shards);
  }
  if (window.end <= cohort.position) co_return false;
  EVENTHUB_FAULT_POINT_IF(rebuilds, "feed.rebuild");
  EVENTHUB_FAULT_POINT_IF(!rebuilds, "feed.read");
  if (window.subscribers_version != context_.subscribers.current()->version) {
    co_await context_.subscribers.refresh();
  }
  if (session != session_number_) co_return true;
  const bool more = window.more || rebuilds || cohorts_.size() > 1;
  apply_window(cohort, std::move(window));
  co_return more;
}

// Shards may have been handed over while the window was read. The window is halved when it brings
// too much, so that what one read holds in memory is bounded, and grows while it brings little.
void Worker::apply_window(const Cohort& read, store::FeedWindow window) {
  const auto rows = static_cast<std::int64_t>(window.messages.size());
  const std::int64_t most = std::max(context_.config.dispatcher.queue_rows_max / 8, 1);
  if (rows > most) window_events_ = std::max<std::int64_t>(window_events_ / 2, 1);
  if (rows < most / 4) {
    window_events_ =
        std::min<std::int64_t>(window_events_ * 2, context_.config.dispatcher.window_events);
  }
  Cohort* now = cohort_of(read.id);
  if (now == nullptr || now->shards.empty()) return;
  if (now->shards.size() != read.shards.size()) {
    std::erase_if(window.messages, [&](const FedMessage& fed) {
      return std::find(now->shards.begin(), now->shards.end(), fed.message.shard) ==
             now->shards.end();
    });
  }
  lanes_.set_subscribers(context_.subscribers.current());
  lanes_.feed(window.messages, now->shards, window.end);
  now->position = window.end;
  pump();
  work_.set();
}

void Worker::merge_cohorts() {
  std::erase_if(cohorts_, [](const Cohort& cohort) { return cohort.shards.empty(); });
  for (std::size_t i = 0; i < cohorts_.size(); ++i) {
    for (std::size_t k = i + 1; k < cohorts_.size();) {
      Cohort& a = cohorts_[i];
      Cohort& b = cohorts_[k];
      const auto rebuilt = [](const Cohort& c) {
        return c.rebuild_end >= 0 && c.position >= c.rebuild_end;
      };
      if (a.position != b.position || !rebuilt(a) || !rebuilt(b)) {
        ++k;
        continue;
      }
      a.shards.insert(a.shards.end(), b.shards.begin(), b.shards.end());
      cohorts_.erase(cohorts_.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }
}

void Worker::drop_from_cohorts(std::int16_t shard) {
  for (Cohort& cohort : cohorts_) std::erase(cohort.shards, shard);
}

}  // namespace eventhub::dispatcher
