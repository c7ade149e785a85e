// Lanes: shards come and go. What is in the air when a session is lost goes on as a ghost: it keeps
// its key busy, and its result is not recorded.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "lanes_state.hpp"

namespace eventhub {

// How long a request of a lost owner may still be in the air, over all subscribers.
Millis Lanes::Impl::longest_wait() const {
  Millis longest = config.default_timeout;
  for (const auto& [sid, row] : subscribers->by_sid) {
    longest = std::max(longest, row->timeout.value_or(longest));
  }
  return longest + config.takeover_extra;
}

// A process may use floor(cap x owned shards of the subscriber / spread), so that the sum over all
// processes never exceeds the cap; spread <= cap makes it at least one per owned shard. While less
// than one per shard may go (core/health.hpp) the first shards have one each.
void Lanes::Impl::update_cap(SubscriberState& state) {
  if (!state.row) {  // deleted: what waits is cancelled where it would be started
    state.cap = std::max(1, state.cap);
    return;
  }
  const int spread = state.row->spread;
  const int whole = state.row->max_in_flight;
  const int most = std::min(state.health.most(clock.mono()), whole);
  int owned = 0, first = 0;
  for (int i = 0; i < spread; ++i) {
    const auto shard = shard_of(state.sid, static_cast<std::uint64_t>(i), spread);
    if (!shards.contains(shard)) continue;
    ++owned;
    first += i < most ? 1 : 0;
  }
  state.cap = most < spread ? first : most * owned / spread;
  if (most == whole) state.cap = std::max(1, state.cap);
  if (state.health.probing()) state.cap = 1;
  state.rate = {};
  if (state.row->rate_limit > 0) state.rate = rate_part(state.row->rate_limit, owned, spread);
}

void Lanes::Impl::update_caps() {
  for (auto& [sid, state] : subscriber_states) update_cap(state);
}

void Lanes::Impl::forget_shard(ShardState& shard) {
  for (auto& [sid, share] : shard.shares) {
    SubscriberState& state = *share.subscriber;
    state.shares.erase(&share);
    state.records -= share.records;
    count_asked(share.unordered, 0);
    for (auto& [khash, lane] : share.keyed) count_asked(lane, 0);
    scans.erase(&share);
    const auto of_share = [&](const Lane* lane) { return lane->share == &share; };
    std::erase_if(state.ready, of_share);
    std::erase_if(drains, of_share);
    std::erase_if(records, [&](const auto& entry) {
      const bool gone = of_share(entry.second.lane);
      redelivery_records -= gone && entry.second.redelivery ? 1 : 0;
      return gone;
    });
  }
  std::erase_if(blocked, [&](const auto& entry) { return entry.first.shard == shard.number; });
}

void Lanes::reset() {
  Impl& s = *impl_;
  for (const auto& [ref, record] : s.records) {
    if (record.state != Record::State::in_air) continue;
    ++s.ghosts_in[record.lane->share->shard];
    ++s.ghosts_of[ref.sid];
    if (record.lane->keyed()) {
      ++s.ghost_keys[{ref.sid, *record.lane->khash}];
    } else {
      s.ghost_refs.insert(ref);
    }
  }
  ++s.epoch;
  s.round.clear();
  s.squeezed.clear();
  s.cleared.clear();
  s.ops.clear();
  s.patient = 0;
  s.timers = {};
  s.blocked.clear();
  s.drains.clear();
  s.scans.clear();
  s.records.clear();
  s.subscriber_states.clear();
  s.shards.clear();
  s.health_urgent = false;
  s.in_flight = s.careful_in_flight = s.redelivery_records = s.asked = 0;
  for (const auto& [sid, ghosts] : s.ghosts_of) s.in_flight += static_cast<std::size_t>(ghosts);
  s.redelivery_after = {};
  s.expiring = s.polling = s.discarding = false;
}

void Lanes::acquire(const Takeover& takeover) {
  Impl& s = *impl_;
  ShardState& shard = s.shards[takeover.shard];
  shard.number = takeover.shard;
  // A wait that was not over when the session was lost is waited again.
  const Mono now = s.clock.mono();
  shard.wait = takeover.wait || now < s.wait_over[takeover.shard];
  EVENTHUB_MUTATE("no_takeover_wait", shard.wait = false);
  if (shard.wait) s.wait_over[takeover.shard] = now + s.longest_wait();
  shard.careful = takeover.careful;
  shard.acquired = shard.lwm_moved = now;
  shard.lwm = takeover.lwm;
  for (const auto& [sid, rows] : takeover.parked) {
    Share& share = s.share_of(takeover.shard, sid);
    share.parked = rows;
    share.known = false;
    s.scans.insert(&share);
    share.unordered.rest = true;
    s.drains.insert(&share.unordered);
  }
  for (const LoadedMessage& dead : takeover.blocking) s.blocked[dead.lane].insert(dead.ref);
  s.update_caps();
}

void Lanes::begin_release(std::int16_t shard) {
  impl_->shards.at(shard).releasing = true;
}

void Lanes::end_release(std::int16_t shard) {
  const auto found = impl_->shards.find(shard);
  if (found == impl_->shards.end()) return;
  found->second.releasing = false;
  impl_->consider_shard(found->second);
}

bool Lanes::drained(std::int16_t shard) const {
  const ShardState& state = impl_->shards.at(shard);
  EVENTHUB_MUTATE("release_on_sigterm", if (impl_->draining) return true);
  if (state.in_flight || state.recording || impl_->ghosts_in.contains(shard)) return false;
  // A hand-over is clean only after the giver's own take-over wait is over.
  EVENTHUB_MUTATE("clean_during_takeover", return true);
  return !state.wait || impl_->clock.mono() >= impl_->wait_over[shard];
}

std::size_t Lanes::in_flight(std::int16_t shard) const {
  const auto ghosts = impl_->ghosts_in.find(shard);
  const int old = ghosts == impl_->ghosts_in.end() ? 0 : ghosts->second;
  return static_cast<std::size_t>(impl_->shards.at(shard).in_flight + old);
}

void Lanes::release(std::int16_t shard) {
  Impl& s = *impl_;
  const auto found = s.shards.find(shard);
  if (found == s.shards.end()) return;
  s.forget_shard(found->second);
  s.shards.erase(found);
  const auto of_shard = [shard](const LaneOp& op) {
    if (const auto* park = std::get_if<ParkMessage>(&op)) return park->lane.shard == shard;
    if (const auto* load = std::get_if<LoadLane>(&op)) return load->lane.shard == shard;
    if (const auto* keys = std::get_if<LoadKeys>(&op)) return keys->shard == shard;
    if (const auto* move = std::get_if<MoveLowWater>(&op)) return move->shard == shard;
    const auto* attempt = std::get_if<RecordAttempt>(&op);
    return attempt && attempt->lane.shard == shard;
  };
  std::erase_if(s.ops, of_shard);
  s.patient = 0;
  s.update_caps();
}

bool Lanes::owns(std::int16_t shard) const {
  return impl_->shards.contains(shard);
}

}  // namespace eventhub
