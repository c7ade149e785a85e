// Lanes: parking. Moves low waters past what waits long, spills what memory cannot hold, drains it
// again. Queues ParkMessage, MoveLowWater and the loads for the writer.
#include <algorithm>

#include "lanes_state.hpp"

namespace eventhub {

void Lanes::Impl::park(Record& record, WaitReason why) {
  if (record.parked || record.final_ || record.redelivery) return;
  // An attempt whose `started` is queued or committed counts, and its mark moves along.
  const bool started = record.started || record.state == Record::State::starting;
  const auto attempt = static_cast<std::int16_t>(record.attempt + (started ? 1 : 0));
  ops.emplace_back(
      ParkMessage{record.ref, record.lane->id(), attempt, started, wall(record.due), why});
  record.parked = true;
  ++record.lane->parks;
  ++record.lane->share->parked;
  uncount(record);
}

void Lanes::Impl::park_directly(const FedMessage& fed, Share& share, Lane* lane) {
  const SubscriberState& state = *share.subscriber;
  WaitReason why = WaitReason::memory;
  if (state.held()) why = state.row->active ? WaitReason::paused : WaitReason::inactive;
  const LaneId id{share.shard, state.sid, fed.message.khash};
  ops.emplace_back(ParkMessage{fed.message.ref, id, fed.attempt, fed.started,
                               fed.due_at.value_or(clock.now()), why});
  ++share.parked;
  if (!lane) {
    ++share.parks;
    return;
  }
  ++lane->parks;
  lane->rest_due = {};
  set_source(*lane, Lane::Source::parked);
}

void Lanes::Impl::set_source(Lane& lane, Lane::Source source) {
  const bool was = lane.source == Lane::Source::parked;
  const bool is = source == Lane::Source::parked;
  lane.source = source;
  if (is != was) lane.share->draining += is ? 1 : std::size_t(-1);
  if (is) {
    drains.insert(&lane);
  } else if (!lane.rest) {
    drains.erase(&lane);
  }
}

// Parks the lane from its head, the one in flight included, and forgets the waiting ones after
// `keep`.
void Lanes::Impl::evict(Lane& lane, WaitReason why, MessageRef keep) {
  // A key whose head waits for its retry need not be looked at before.
  const Record* head = lane.keyed() ? lane.messages.head : nullptr;
  const Mono retry_at = head && head->state == Record::State::waiting ? head->due : Mono{};
  std::vector<Record*> of_lane;
  for (Record* record = lane.messages.head; record; record = record->next)
    of_lane.push_back(record);
  if (!lane.keyed()) {
    for (auto& [ref, record] : records) {
      const bool elsewhere = record.lane == &lane && !record.listed && !record.redelivery;
      if (elsewhere) of_lane.push_back(&record);
    }
  }
  for (Record* record : of_lane) {
    park(*record, why);
    if (record->state == Record::State::waiting && record->ref > keep) erase(*record);
  }
  ++lane.generation;
  lane.rest_due = retry_at;
  set_source(lane, Lane::Source::parked);
}

void Lanes::Impl::spill_share(Share& share, WaitReason why) {
  share.spilled = true;
  share.known = false;
  share.scan_after.reset();
  share.scan_found = 0;
  ++share.parks;
  scans.insert(&share);
  evict(share.unordered, why, {});
  for (auto& [khash, lane] : share.keyed) evict(lane, why, {});
  // Lanes that hold nothing now are found again by the scan of keys.
  for (auto at = share.keyed.begin(); at != share.keyed.end();) {
    Lane& lane = at->second;
    const bool idle = !lane.messages.size && !lane.redeliveries.size && !lane.busy && !lane.ready;
    if (idle && !lane.asked) {
      set_source(lane, Lane::Source::memory);
      drains.erase(&lane);
      at = share.keyed.erase(at);
    } else {
      ++at;
    }
  }
}

// ── low water ──

void Lanes::Impl::move_low_waters(Mono now) {
  if (now - parked_old_at >= config.lwm_interval / 2) {
    parked_old_at = now;
    park_old(now);
  }
  for (auto& [number, shard] : shards) {
    std::int64_t lwm = shard.lwm;
    while (!shard.windows.empty() && shard.windows.front().open == 0) {
      lwm = std::max(lwm, shard.windows.front().end);
      shard.windows.pop_front();
      ++shard.first_window;
    }
    // Kept in one window until it is time to write it down.
    if (lwm == shard.lwm) continue;
    if (now - shard.lwm_moved < config.lwm_interval && !shard.releasing) {
      if (shard.windows.empty() || shard.windows.front().end != lwm) {
        shard.windows.push_front({lwm, 0, now});
        --shard.first_window;
      }
      continue;
    }
    shard.lwm = lwm;
    shard.lwm_moved = now;
    ops.emplace_back(MoveLowWater{number, lwm});
  }
}

// Whatever has waited for a reason since before the last `park_after` is parked, per key from the
// head.
void Lanes::Impl::park_old(Mono now) {
  std::unordered_map<std::int16_t, std::uint64_t> old;  // shard: the first window that is not
  for (auto& [number, shard] : shards) {
    std::uint64_t last = shard.first_window;
    for (const Window& window : shard.windows) {
      if (now - window.fed_at <= config.park_after) break;
      ++last;
    }
    if (last == shard.first_window || !shard.windows.front().open) continue;
    old[number] = last;
    for (auto& [sid, share] : shard.shares) {
      park_lane_up_to(share.unordered, last, now);
      for (auto& [khash, lane] : share.keyed) park_lane_up_to(lane, last, now);
    }
  }
  if (!old.empty()) park_between_retries(old);
}

// Unordered messages that wait for their retry are in no list. One pass for all lanes: there are
// as many lanes as shards, and as many records as fit into memory.
void Lanes::Impl::park_between_retries(const std::unordered_map<std::int16_t, std::uint64_t>& old) {
  for (auto& [ref, record] : records) {
    if (record.listed || record.lane->keyed() || record.state != Record::State::waiting) continue;
    const auto before = old.find(record.lane->share->shard);
    if (before == old.end() || !record.window || record.window >= before->second) continue;
    park(record, WaitReason::retry);
  }
}

void Lanes::Impl::park_lane_up_to(Lane& lane, std::uint64_t window, Mono now) {
  const Record* first = candidate(lane);
  WaitReason why = first ? reason(lane, *first, now, nullptr) : WaitReason::none;
  if (lane.keyed() && lane.busy) why = WaitReason::order;
  if (why != WaitReason::none) {
    for (Record* record = lane.messages.head; record; record = record->next) {
      if (record->window && record->window < window) park(*record, why);
    }
  }
}

// ── memory ──

// Records that wait for a reason and may leave memory, parked already or not. `at_cap`: also those
// of a subscriber whose only reason is its cap or its rate.
std::size_t Lanes::Impl::waiting_records(Share& share, Mono now, bool at_cap, Lane** longest) {
  if (!share.subscriber->row) return 0;
  std::size_t waiting = 0;
  std::size_t listed = share.unordered.messages.size;
  const auto add = [&](Lane& lane) {
    if (!lane.messages.size) return;
    const WaitReason why = lane.keyed() && lane.busy ? WaitReason::order
                                                     : reason(lane, *candidate(lane), now, nullptr);
    const bool capped = why == WaitReason::in_flight_cap || why == WaitReason::rate;  // for a while
    if (why == WaitReason::none || (capped && !at_cap)) return;
    waiting += lane.messages.size;
    if (lane.keyed() && (!*longest || lane.messages.size > (*longest)->messages.size)) {
      *longest = &lane;
    }
  };
  add(share.unordered);
  for (auto& [khash, lane] : share.keyed) {
    listed += lane.messages.size;
    add(lane);
  }
  const std::size_t elsewhere = listed + share.unordered.busy;
  return waiting + (share.records > elsewhere ? share.records - elsewhere : 0);  // between retries
}

// Spills what waits most. False when nothing does, or it does not help.
bool Lanes::Impl::relieve_once(Mono now, bool at_cap) {
  const std::size_t before = records.size();
  Share* victim = nullptr;
  Lane* lane = nullptr;
  std::size_t most = static_cast<std::size_t>(config.queue_rows_max) / 1024;
  for (auto& [number, shard] : shards) {
    if (shard.releasing) continue;
    for (auto& [sid, share] : shard.shares) {
      Lane* longest = nullptr;
      const std::size_t waiting = waiting_records(share, now, at_cap, &longest);
      if (waiting <= most) continue;
      most = waiting;
      victim = &share;
      lane = longest;
    }
  }
  if (!victim) return false;
  const auto least = static_cast<std::size_t>(config.lane_rows_spill);
  if (lane && lane->messages.size > std::max(most / 2, least)) {
    evict(*lane, WaitReason::memory, {});
  } else {
    spill_share(*victim, WaitReason::memory);
  }
  return records.size() < before;
}

void Lanes::Impl::relieve_memory() {
  const auto max = static_cast<std::size_t>(config.queue_rows_max);
  if (records.size() < max / 4 * 3) return;
  const Mono now = clock.mono();
  for (const bool at_cap : {false, true}) {
    for (int spills = 0; spills < 64 && records.size() > max / 8 * 5; ++spills) {
      if (!relieve_once(now, at_cap)) break;
    }
  }
}

// ── draining ──

void Lanes::Impl::count_asked(Lane& lane, std::size_t rows) {
  std::size_t& of_subscriber = lane.share->subscriber->asked;
  of_subscriber = of_subscriber - lane.asked + rows;
  asked = asked - lane.asked + rows;
  lane.asked = rows;
}

// How many rows a lane may get now. A subscriber drains into its part of memory, what is on its way
// included: else its lanes would fill memory together and be spilled again. A lane that holds
// nothing gets a few always, so that nobody is starved by what others left there.
std::size_t Lanes::Impl::room(const Lane& lane) const {
  const auto max = static_cast<std::size_t>(config.queue_rows_max);
  const std::size_t rows = rows_at_once(lane);
  if (lane.messages.size >= rows / 2) return 0;
  const auto left = [](std::size_t most, std::size_t used) {
    return most > used ? most - used : 0;
  };
  const SubscriberState& state = *lane.share->subscriber;
  const std::size_t of_all = left(max / 8 * 7, records.size() + asked);
  const std::size_t own = left(std::max<std::size_t>(max / 8, 8), state.records + state.asked);
  const std::size_t free = std::min(of_all, own);
  if (free >= rows / 4) return std::min(rows, free);
  return lane.messages.size ? 0 : std::clamp<std::size_t>(max / 1024, 1, rows / 16 + 2);
}

std::size_t Lanes::Impl::rows_at_once(const Lane& lane) const {
  const auto rows = static_cast<std::size_t>(config.load_rows);
  return lane.keyed() ? std::max<std::size_t>(4, rows / 8) : rows;
}

// Asks for the next parked messages of a lane. False when there is no room or no reason to.
bool Lanes::Impl::refill(Lane& lane) {
  if (lane.asked || shards.at(lane.share->shard).releasing || draining) return false;
  const bool probe = lane.source == Lane::Source::unknown;
  if (!probe && lane.share->subscriber->held()) return false;
  if (!probe && lane.rest_due > clock.mono()) return false;
  const Record* first = lane.messages.head;
  const bool waits = !probe && lane.keyed() && first && first->due > clock.mono();
  if (waits) return false;  // nor may its followers go
  const std::size_t rows = probe ? rows_at_once(lane) : room(lane);
  if (rows == 0) return false;
  const std::size_t here = lane.keyed() ? lane.messages.size + lane.busy : lane.share->records;
  count_asked(lane, rows);
  ops.emplace_back(LoadLane{lane.id(), static_cast<int>(here + rows), lane.generation, lane.parks});
  return true;
}

void Lanes::Impl::scan(Share& share) {
  constexpr int kKeys = 100;
  const auto max = static_cast<std::size_t>(config.queue_rows_max);
  if (share.scanning || share.subscriber->held() || shards.at(share.shard).releasing) return;
  if (share.draining > kKeys || share.subscriber->records > std::max<std::size_t>(max / 8, 8))
    return;
  share.scanning = true;
  if (!share.scan_after) share.scan_parks = share.parks;
  ops.emplace_back(LoadKeys{share.shard, share.subscriber->sid, share.scan_after, kKeys});
}

void Lanes::Impl::drain() {
  if (draining) return;
  for (Lane* lane : std::vector<Lane*>(drains.begin(), drains.end())) {
    if (lane->source == Lane::Source::parked || lane->rest) refill(*lane);
  }
  for (Share* share : std::vector<Share*>(scans.begin(), scans.end())) scan(*share);
  constexpr int kExpired = 1'000;
  if (expire && !expiring) {
    expiring = true;
    ops.emplace_back(LoadExpired{*expire, kExpired});
    expire.reset();
  }
}

void Lanes::tick() {
  Impl& s = *impl_;
  const Mono now = s.clock.mono();
  s.run_timers(now);
  for (auto& [number, shard] : s.shards) {
    if (shard.careful && now - shard.acquired > std::chrono::minutes{5}) shard.careful = false;
  }
  for (std::size_t left = s.squeezed.size(); left > 0; --left) s.slot_freed();
  s.relieve_memory();
  s.move_low_waters(now);
  s.drain();
}

}  // namespace eventhub
