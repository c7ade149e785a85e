// Lanes: what gauges show. A walk over the records in memory, once in a while.
#include <map>

#include "lanes_state.hpp"

namespace eventhub {

// What is in the table `parked` and not here. Its reason is in its row; a gauge is content with the
// one that keeps it from being read.
void Lanes::Impl::count_parked(std::map<std::int32_t, std::int64_t>& pending,
                               std::map<WaitReason, std::size_t>& waiting) const {
  std::map<const Share*, std::int64_t> here;
  for (const auto& [ref, record] : records) {
    if (record.parked) ++here[record.lane->share];
  }
  for (const auto& [number, shard] : shards) {
    for (const auto& [sid, share] : shard.shares) {
      const auto found = here.find(&share);
      const std::int64_t rows = share.parked - (found == here.end() ? 0 : found->second);
      if (rows <= 0) continue;
      pending[sid] += rows;
      WaitReason why = WaitReason::memory;
      const SubscriberPtr& row = share.subscriber->row;
      if (row && row->paused) why = WaitReason::paused;
      if (row && !row->active) why = WaitReason::inactive;
      waiting[why] += static_cast<std::size_t>(rows);
    }
  }
}

LanesCounts Lanes::counts() const {
  Impl& s = *impl_;
  LanesCounts counts;
  counts.records = s.records.size();
  counts.in_flight = s.in_flight;
  std::map<WaitReason, std::size_t> waiting;
  const Mono now = s.clock.mono();
  std::optional<Mono> oldest;
  for (auto& [number, shard] : s.shards) {
    for (const Window& window : shard.windows) {
      if (window.open && (!oldest || window.fed_at < *oldest)) oldest = window.fed_at;
    }
  }
  std::map<std::int32_t, std::int64_t> pending;
  for (const auto& [ref, record] : s.records) {
    if (record.final_) continue;
    ++pending[ref.sid];
    if (record.state != Record::State::waiting) continue;
    const Record* first = s.candidate(*record.lane);
    const bool behind = record.lane->keyed() && first && first != &record;
    const WaitReason why =
        behind ? WaitReason::order : s.reason(*record.lane, record, now, nullptr);
    if (why == WaitReason::none) continue;
    ++waiting[why];
    if (!behind && record.lane->keyed()) ++counts.blocked_keys;
  }
  s.count_parked(pending, waiting);
  for (const auto& [sid, count] : pending) {
    const SubscriberPtr& row = s.subscriber(sid).row;
    if (row) counts.pending.emplace_back(row->id, static_cast<std::size_t>(count));
  }
  for (const auto& [sid, state] : s.subscriber_states) {
    const Circuit circuit = state.health.circuit();
    if (state.row && state.health.holding()) counts.circuits.emplace_back(state.row->id, circuit);
  }
  counts.waiting.assign(waiting.begin(), waiting.end());
  if (oldest) counts.oldest_age = std::chrono::duration_cast<Millis>(now - *oldest);
  return counts;
}

}  // namespace eventhub
