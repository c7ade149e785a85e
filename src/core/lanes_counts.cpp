// Lanes: what gauges show. A walk over the records in memory, once in a while.
#include "lanes_state.hpp"

namespace eventhub {

// What is in the table `parked` and not here. Its reason is in its row; a gauge is content with the
// one that keeps it from being read.
void Lanes::Impl::count_parked(WaitingCounts& waiting) {
  for (auto& [number, shard] : shards) {
    for (auto& [sid, share] : shard.shares) {
      const std::int64_t rows = share.parked - static_cast<std::int64_t>(share.counted_parked);
      if (rows <= 0) continue;
      share.subscriber->counted += static_cast<std::size_t>(rows);
      WaitReason why = WaitReason::memory;
      const SubscriberPtr& row = share.subscriber->row;
      if (row && row->paused) why = WaitReason::paused;
      if (row && !row->active) why = WaitReason::inactive;
      waiting[static_cast<std::size_t>(why)] += static_cast<std::size_t>(rows);
    }
  }
}

// One pass, which touches nothing but a record and what it belongs to: a hundred thousand of them
// hold everything up for as long as it takes. Returns the number of blocked keys.
std::size_t Lanes::Impl::count_records(WaitingCounts& waiting) {
  for (auto& [sid, state] : subscriber_states) state.counted = 0;
  for (auto& [number, shard] : shards) {
    for (auto& [sid, share] : shard.shares) share.counted_parked = 0;
  }
  std::size_t blocked_keys = 0;
  const Mono now = clock.mono();
  for (const auto& [ref, record] : records) {
    Lane& lane = *record.lane;
    lane.share->counted_parked += record.parked ? 1 : 0;
    if (record.final_) continue;
    ++lane.share->subscriber->counted;
    if (record.state != Record::State::waiting) continue;
    const Record* first = candidate(lane);
    const bool behind = lane.keyed() && first && first != &record;
    const WaitReason why = behind ? WaitReason::order : reason(lane, record, now, nullptr);
    if (why == WaitReason::none) continue;
    ++waiting[static_cast<std::size_t>(why)];
    if (!behind && lane.keyed()) ++blocked_keys;
  }
  return blocked_keys;
}

LanesCounts Lanes::counts() const {
  Impl& s = *impl_;
  LanesCounts counts;
  counts.records = s.records.size();
  counts.in_flight = s.in_flight;
  std::optional<Mono> oldest;
  for (auto& [number, shard] : s.shards) {
    for (const Window& window : shard.windows) {
      if (window.open && (!oldest || window.fed_at < *oldest)) oldest = window.fed_at;
    }
  }
  Impl::WaitingCounts waiting{};
  counts.blocked_keys = s.count_records(waiting);
  s.count_parked(waiting);
  for (const auto& [sid, state] : s.subscriber_states) {
    if (!state.row) continue;
    if (state.counted > 0) counts.pending.emplace_back(state.row->id, state.counted);
    const Circuit circuit = state.health.circuit();
    if (state.health.holding()) counts.circuits.emplace_back(state.row->id, circuit);
  }
  for (std::size_t why = 0; why < waiting.size(); ++why) {
    if (waiting[why] > 0) counts.waiting.emplace_back(static_cast<WaitReason>(why), waiting[why]);
  }
  if (oldest) counts.oldest_age = std::chrono::duration_cast<Millis>(s.clock.mono() - *oldest);
  return counts;
}

}  // namespace eventhub
