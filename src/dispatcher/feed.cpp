// The feed's loop: reads windows of `messages` for the owned shards into Lanes, rebuilding first
// what was taken over. Stops while Lanes is full.
#include <algorithm>

#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {

Task<void> Worker::feed_loop() {
  ++loops_;
  pg::ConnectionPtr connection;
  std::unique_ptr<store::MessageFeed> feed;
  Millis idle{1};
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
    if (more) {
      idle = Millis{1};
      continue;
    }
    // The signal is the hurry, the poll is the truth; it slows down while nothing comes.
    const bool woken = co_await context_.wakeups.of(store::Signal::messages).wait(idle);
    idle = woken ? Millis{1} : std::min(idle * 2, context_.config.poll_interval);
  }
  --loops_;
}

// One window of the cohort that is furthest behind. True when there may be more.
Task<bool> Worker::feed_some(store::MessageFeed& feed) {
  merge_cohorts();
  if (cohorts_.empty() || !lanes_.wants_feed()) co_return false;
  const std::uint32_t session = session_number_;
  const auto behind =
      std::min_element(cohorts_.begin(), cohorts_.end(),
                       [](const Cohort& a, const Cohort& b) { return a.position < b.position; });
  if (behind->rebuild_end < 0) {
    const std::vector<std::int16_t> first = behind->shards;
    const std::int64_t position = behind->position;
    const std::int64_t end = co_await feed.horizon(position);
    if (session != session_number_) co_return true;
    for (Cohort& cohort : cohorts_) {
      if (cohort.rebuild_end < 0 && cohort.shards == first) cohort.rebuild_end = end;
    }
    co_return true;
  }
  const Cohort cohort = *behind;
  std::int64_t limit = context_.config.dispatcher.window_events;
  for (const Cohort& other : cohorts_) {
    if (other.position > cohort.position) limit = std::min(limit, other.position - cohort.position);
  }
  const bool rebuilds = cohort.position < cohort.rebuild_end;
  if (rebuilds) limit = std::min(limit, cohort.rebuild_end - cohort.position);
  store::FeedWindow window;
  if (rebuilds) {
    window = co_await feed.rebuild(cohort.position, static_cast<int>(limit), cohort.shards);
  } else {
    window = co_await feed.read(cohort.position, static_cast<int>(limit), cohort.shards);
  }
  if (window.end <= cohort.position) co_return false;
  if (window.subscribers_version != context_.subscribers.current()->version) {
    co_await context_.subscribers.refresh();
  }
  if (session != session_number_) co_return true;
  lanes_.set_subscribers(context_.subscribers.current());
  // Shards may have been handed over while the window was read.
  for (Cohort& now : cohorts_) {
    if (now.shards.empty() || now.position != cohort.position) continue;
    const bool same = std::find(cohort.shards.begin(), cohort.shards.end(), now.shards.front()) !=
                      cohort.shards.end();
    if (!same) continue;
    std::erase_if(window.messages, [&](const FedMessage& fed) {
      return std::find(now.shards.begin(), now.shards.end(), fed.message.shard) == now.shards.end();
    });
    lanes_.feed(window.messages, now.shards, window.end);
    now.position = window.end;
    break;
  }
  pump();
  work_.set();
  co_return true;
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
