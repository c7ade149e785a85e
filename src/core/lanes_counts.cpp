// Lanes: what gauges show. A walk over the records in memory, once in a while.
#include <map>

#include "lanes_state.hpp"

namespace eventhub {

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
  std::map<std::int32_t, std::size_t> pending;
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
  for (const auto& [sid, count] : pending) {
    const SubscriberPtr& row = s.subscriber(sid).row;
    if (row) counts.pending.emplace_back(row->id, count);
  }
  counts.waiting.assign(waiting.begin(), waiting.end());
  if (oldest) counts.oldest_age = std::chrono::duration_cast<Millis>(now - *oldest);
  return counts;
}

}  // namespace eventhub
