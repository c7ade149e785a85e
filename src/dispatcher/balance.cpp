// Which shards are ours: takes what nobody owns up to this node's part, gives away what is over it,
// and everything when the process ends or was held up. A shard goes when nothing of it is in the
// air.
#include <algorithm>
#include <tuple>

#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {
namespace {

constexpr Millis kBalanceEvery{500};
constexpr Millis kReleasingEvery{20};  // while a shard is about to go
// A shard that is about to go sends nothing; with a request in it that takes longer it stays.
constexpr Millis kReleasePatience{1'000};
constexpr Millis kReleasePause{2'000};  // before the next try

// The number's bits in reverse: any first few of this order are far from one another. A
// subscriber's messages are in neighbouring shards, and no process is to have all of them.
int scattered(std::int16_t shard) {
  int place = 0;
  for (int bit = 1; bit < kShards; bit *= 2) place = place * 2 + ((shard & bit) != 0 ? 1 : 0);
  return place;
}

}  // namespace

Task<void> Worker::balance() {
  const Mono now = context_.clock.mono();
  balance_due_ = now + kBalanceEvery;
  co_await hand_over();
  const int owned = static_cast<int>(ownership_.owned().size());
  if (stopping_ || leaving()) {
    give(owned);
    if (owned > 0) balance_due_ = now + kReleasingEvery;
    co_return;
  }
  take_back_late();
  const int part = (kShards + seen_.dispatchers - 1) / seen_.dispatchers;
  if (owned < part) co_return co_await take(part - owned);
  give(owned - static_cast<int>(releasing_.size()) - part);
  if (!releasing_.empty()) balance_due_ = std::min(balance_due_, now + kReleasingEvery);
}

// Those with the least in the air first.
void Worker::give(int count) {
  std::vector<std::tuple<std::size_t, int, std::int16_t>> candidates;
  for (const std::int16_t shard : ownership_.owned()) {
    if (releasing_.contains(shard)) continue;
    candidates.emplace_back(lanes_.in_flight(shard), scattered(shard), shard);
  }
  std::sort(candidates.begin(), candidates.end());
  for (const auto& [in_flight, place, shard] : candidates) {
    if (count-- <= 0) break;
    releasing_.emplace(shard, context_.clock.mono());
    lanes_.begin_release(shard);
  }
}

void Worker::take_back_late() {
  const Mono now = context_.clock.mono();
  const std::size_t before = releasing_.size();
  std::erase_if(releasing_, [&](const auto& entry) {
    const bool late = now - entry.second > kReleasePatience;
    if (late) lanes_.end_release(entry.first);
    return late;
  });
  if (releasing_.size() < before) balance_due_ = now + kReleasePause;
}

Task<void> Worker::take(int count) {
  std::vector<Takeover> takeovers = co_await ownership_.acquire(count);
  if (takeovers.empty()) co_return;
  Cohort cohort;
  cohort.id = ++last_cohort_;
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
  for (const auto& [shard, since] : releasing_) {
    if (lanes_.drained(shard)) ready.push_back(shard);
  }
  if (ready.empty()) co_return;
  for (const std::int16_t shard : ready) {
    lanes_.release(shard);
    releasing_.erase(shard);
    drop_from_cohorts(shard);
  }
  co_await ownership_.release(ready, true);
  context_.wakeups.notify(store::Signal::control);
  log::info("handed shards over", {{"count", ready.size()}, {"owned", ownership_.owned().size()}});
}

}  // namespace eventhub::dispatcher
