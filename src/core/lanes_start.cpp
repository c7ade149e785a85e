// Lanes: why a message waits, who is next, what an attempt came to. Queues RecordAttempt for the
// writer; lanes_commit.cpp goes on when it is committed.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "lanes_state.hpp"

namespace eventhub {

namespace {

void no_sooner(Mono* until, Mono due) {
  if (until && (*until == Mono{} || due < *until)) *until = due;
}

// What holds the whole subscriber: its lanes wait among the ready ones.
bool holds_subscriber(WaitReason why) {
  return why == WaitReason::in_flight_cap || why == WaitReason::rate || why == WaitReason::circuit;
}

// The message of `result` is all that the lane has.
bool last(const Lane& lane) {
  return lane.messages.size == 1 && lane.redeliveries.size == 0 &&
         lane.source == Lane::Source::memory;
}

// Nothing here waits for its commit, and a crash before it only sends again what may be sent again.
bool may_linger(const RecordAttempt& result, const Lane& lane) {
  const SubscriberPtr& subscriber = lane.share->subscriber->row;
  if (result.outcome != Outcome::delivered || result.parked || result.redelivery) return false;
  if (!subscriber || subscriber->guarantee != Guarantee::at_least_once) return false;
  return !lane.keyed() || last(lane);
}

}  // namespace

Record* Lanes::Impl::candidate(const Lane& lane) const {
  return lane.redeliveries.head ? lane.redeliveries.head : lane.messages.head;
}

bool Lanes::Impl::ghost(const Lane& lane, const MessageRef& ref) const {
  if (lane.keyed()) return ghost_keys.contains({ref.sid, *lane.khash});
  return ghost_refs.contains(ref);
}

// The one place that knows why a message waits. `until` gets the time at which that may change by
// itself.
WaitReason Lanes::Impl::reason(const Lane& lane, const Record& record, Mono now,
                               Mono* until) const {
  const SubscriberState& state = *lane.share->subscriber;
  if (!state.row) return WaitReason::none;
  if (!state.row->active) return WaitReason::inactive;
  if (state.row->paused) return WaitReason::paused;
  const ShardState& shard = shards.at(lane.share->shard);
  if (shard.releasing || draining) return WaitReason::takeover;
  if (lane.keyed() && !record.redelivery) {
    if (lane.source == Lane::Source::unknown) return WaitReason::memory;
    const auto dead = blocked.find(lane.id());
    if (state.row->on_dead == OnDead::block && dead != blocked.end() && !dead->second.empty()) {
      return WaitReason::order;
    }
  }
  if (record.due > now) {
    no_sooner(until, record.due);
    return WaitReason::retry;
  }
  if (shard.wait && lane.keyed()) {
    const Mono over = shard.acquired + state.row->timeout.value_or(config.default_timeout) +
                      config.takeover_extra;
    if (now < over) {
      no_sooner(until, over);
      return WaitReason::takeover;
    }
  }
  if (ghost(lane, record.ref)) return WaitReason::takeover;
  // In the whole process, so that a message that kills it takes nobody's attempt along.
  if (shard.careful && careful_in_flight > 0) {
    no_sooner(until, now + Millis{50});
    return WaitReason::in_flight_cap;
  }
  if (at_cap(state)) {
    return state.health.holding() ? WaitReason::circuit : WaitReason::in_flight_cap;
  }
  const bool rate = state.rate.burst > 0 && state.bucket.next(state.rate) > now;
  return rate ? WaitReason::rate : WaitReason::none;
}

// Nobody may have more in the air than is left for all others, so that subscribers that hang leave
// room for those that do not: the dynamic threshold that shared packet buffers use (Choudhury and
// Hahne, 1998). When they come one after the other each takes half of what the ones before it left,
// and soon all is gone: so of the last eighth nobody has more than the one that it begins with.
bool Lanes::Impl::at_cap(const SubscriberState& state) const {
  const int left = config.in_flight_max - static_cast<int>(in_flight);
  const int shared = state.in_flight == 0 ? left : left - config.in_flight_max / 8;
  return state.in_flight >= std::min(state.cap, shared);
}

// The subscriber has used up its rate for now. It, not each of its lanes, is looked at again.
bool Lanes::Impl::rests(SubscriberState& state, Mono now) {
  if (state.rate.burst == 0) return false;
  const Mono due = state.bucket.next(state.rate);
  if (due <= now) return false;
  state.listed = false;
  state.resting = true;
  timers.push({due, {kSubscriberTimer, state.sid, {}}, {}});
  return true;
}

// One of those that waited for a slot of all may look again; tick() sees to the rest.
void Lanes::Impl::slot_freed() {
  if (squeezed.empty()) return;
  SubscriberState& state = *squeezed.front();
  squeezed.pop_front();
  state.squeezed = false;
  list(state);
}

void Lanes::Impl::schedule(Mono due, const Lane& lane, MessageRef ref) {
  timers.push({due, lane.id(), ref});
}

void Lanes::Impl::list(SubscriberState& state) {
  if (state.listed || state.resting) return;
  if (state.ready.empty() || state.in_flight >= state.cap) return;
  state.listed = true;
  round.push_back(&state);
}

// Puts the lane among the ready ones when its first message may go, or sees to it that it is looked
// at again.
void Lanes::Impl::consider(Lane& lane) {
  if (lane.ready) return;
  SubscriberState& state = *lane.share->subscriber;
  if (!state.row) cancel_waiting(lane);
  if (lane.keyed() && lane.busy) {
    if (lane.lingers) patient = 0;  // now somebody waits for it
    return;
  }
  Record* record = candidate(lane);
  while (record && !lane.keyed() && ghost(lane, record->ref)) {  // back when its ghost is gone
    (record->redelivery ? lane.redeliveries : lane.messages).remove(*record);
    record = candidate(lane);
  }
  if (!record) {
    if (lane.source == Lane::Source::parked || lane.rest) refill(lane);
    return erase_if_idle(lane);
  }
  if (lane.source == Lane::Source::unknown) refill(lane);
  Mono until{};
  const WaitReason why = reason(lane, *record, clock.mono(), &until);
  if (why == WaitReason::none || (holds_subscriber(why) && until == Mono{})) {
    lane.ready = true;
    state.ready.push_back(&lane);
    return list(state);
  }
  if (until != Mono{}) schedule(until, lane, {});
}

void Lanes::Impl::consider_shard(ShardState& shard) {
  for (auto& [sid, share] : shard.shares) consider_all(*share.subscriber);
}

void Lanes::Impl::consider_all(SubscriberState& state) {
  for (Share* share : std::vector<Share*>(state.shares.begin(), state.shares.end())) {
    consider(share->unordered);
    std::vector<Lane*> lanes;
    lanes.reserve(share->keyed.size());
    for (auto& [khash, lane] : share->keyed) lanes.push_back(&lane);
    for (Lane* lane : lanes) consider(*lane);
  }
  list(state);
}

void Lanes::Impl::run_timers(Mono now) {
  while (!timers.empty() && timers.top().due <= now) {
    const Timer timer = timers.top();
    timers.pop();
    if (timer.lane.shard == kSubscriberTimer) {
      wake(timer.lane.sid);
      continue;
    }
    Lane* lane = find_lane(timer.lane);
    if (!lane) continue;
    if (timer.ref.event_seq != 0) {
      Record* record = find(timer.ref);
      const bool waits = record && record->state == Record::State::waiting && !record->listed;
      if (!waits || record->due > now) continue;
      (record->redelivery ? lane->redeliveries : lane->messages).push_back(*record);
    }
    consider(*lane);
  }
}

// Takes the lane's first message. Nullopt when `started` has to be committed before it may be sent.
std::optional<Start> Lanes::Impl::start(Record& record) {
  Lane& lane = *record.lane;
  SubscriberState& state = *lane.share->subscriber;
  ShardState& shard = shards.at(lane.share->shard);
  if (!lane.keyed()) (record.redelivery ? lane.redeliveries : lane.messages).remove(record);
  ++lane.busy;
  ++state.in_flight;
  ++shard.in_flight;
  ++in_flight;
  if (state.rate.burst > 0) state.bucket.take(state.rate, clock.mono());
  record.careful = shard.careful;
  careful_in_flight += record.careful ? 1 : 0;
  const auto attempt = static_cast<std::int16_t>(record.attempt + 1);
  Start start{record.ref, lane.id(), attempt, record.redelivery, epoch, state.row};
  const bool marks = state.row->guarantee == Guarantee::at_most_once || shard.careful;
  if (!marks || EVENTHUB_MUTANT("mark_after_send")) {
    record.state = Record::State::in_air;
    return start;
  }
  record.state = Record::State::starting;
  RecordAttempt op;
  op.ref = record.ref;
  op.lane = start.lane;
  op.attempt = attempt;
  op.outcome = Outcome::started;
  op.attempted_at = clock.now();
  op.parked = record.parked;
  op.redelivery = record.redelivery;
  ops.emplace_back(std::move(op));
  return std::nullopt;
}

std::optional<Start> Lanes::next() {
  Impl& s = *impl_;
  if (!s.cleared.empty()) {
    Start start = std::move(s.cleared.front());
    s.cleared.pop_front();
    if (Record* record = s.find(start.ref)) record->state = Record::State::in_air;
    EVENTHUB_FAULT_POINT("disp.amo_marked");
    return start;
  }
  const Mono now = s.clock.mono();
  s.run_timers(now);
  while (!s.round.empty()) {
    SubscriberState& state = *s.round.front();
    s.round.pop_front();
    if (state.ready.empty() || s.at_cap(state)) {
      state.listed = false;
      if (state.ready.empty() || state.in_flight >= state.cap) continue;
      if (!state.squeezed) s.squeezed.push_back(&state);
      state.squeezed = true;
      continue;
    }
    if (s.rests(state, now)) continue;
    s.round.push_back(&state);
    Lane& lane = *state.ready.front();
    state.ready.pop_front();
    lane.ready = false;
    Record* record = s.candidate(lane);
    const bool may = record && state.row && !(lane.keyed() && lane.busy) &&
                     s.reason(lane, *record, now, nullptr) == WaitReason::none;
    if (!may) {
      s.consider(lane);
      continue;
    }
    std::optional<Start> start = s.start(*record);
    if (!lane.keyed()) s.consider(lane);
    if (start) return start;
  }
  return std::nullopt;
}

void Lanes::Impl::left_air(Record& record) {
  SubscriberState& state = *record.lane->share->subscriber;
  --state.in_flight;
  --shards.at(record.lane->share->shard).in_flight;
  --in_flight;
  careful_in_flight -= record.careful ? 1 : 0;
  record.careful = false;
  slot_freed();  // before the one that had it: they take turns
  list(state);
}

void Lanes::Impl::free_ghost(const Start& start) {
  const auto forget = [](auto& counts, auto key) {
    const auto found = counts.find(key);
    if (found != counts.end() && --found->second == 0) counts.erase(found);
  };
  forget(ghosts_in, start.lane.shard);
  forget(ghosts_of, start.ref.sid);
  --in_flight;
  slot_freed();
  const auto state = subscriber_states.find(start.ref.sid);
  if (state != subscriber_states.end()) {
    --state->second.in_flight;
    list(state->second);
  }
  if (start.lane.khash) {
    const auto found = ghost_keys.find({start.ref.sid, *start.lane.khash});
    if (found != ghost_keys.end() && --found->second == 0) ghost_keys.erase(found);
  } else {
    ghost_refs.erase(start.ref);
    Record* record = find(start.ref);
    const bool waits = record && record->state == Record::State::waiting && !record->listed;
    if (waits && record->due <= clock.mono()) {
      (record->redelivery ? record->lane->redeliveries : record->lane->messages).push_back(*record);
    }
  }
  if (Lane* lane = find_lane(start.lane)) consider(*lane);
}

void Lanes::ended(const Start& start, Ended ended) {
  Impl& s = *impl_;
  // From an earlier ownership: it only frees its key, it never commits.
  if (start.epoch != s.epoch) return s.free_ghost(start);
  Record* record = s.find(start.ref);
  if (!record) return;
  SubscriberState& state = *record->lane->share->subscriber;
  s.left_air(*record);
  if (ended.sign > Sign::delivered || state.health.watched()) s.attempted(state, ended.sign);
  ++s.shards.at(start.lane.shard).recording;
  record->state = Record::State::recording;
  record->final_ = is_final(ended.outcome);
  RecordAttempt op;
  op.ref = start.ref;
  op.lane = start.lane;
  op.attempt = start.attempt;
  op.outcome = ended.outcome;
  op.http_status = ended.http_status;
  op.duration = ended.duration;
  op.attempted_at = ended.attempted_at;
  if (ended.outcome == Outcome::retry) {
    record->attempt = start.attempt;  // at once: a park that is queued next must carry it
    record->started = false;
    record->due = s.clock.mono() + ended.wait;
    op.next_attempt_at = s.clock.now() + ended.wait;
  }
  op.error = std::move(ended.error);
  op.response = std::move(ended.response);
  op.reason = std::move(ended.reason);
  op.parked = record->parked;
  op.redelivery = record->redelivery;
  const bool blocks = state.row && state.row->on_dead == OnDead::block && start.lane.khash;
  if (blocks && is_dead_letter(ended.outcome)) s.blocked[start.lane].insert(start.ref);
  Lane& lane = *record->lane;
  lane.lingers = may_linger(op, lane);
  if (lane.lingers && s.patient++ == 0) s.patient_since = s.clock.mono();
  s.ops.emplace_back(std::move(op));
}

void Lanes::not_sent(const Start& start) {
  Impl& s = *impl_;
  if (start.epoch != s.epoch) return s.free_ghost(start);
  Record* record = s.find(start.ref);
  if (!record) return;
  Lane& lane = *record->lane;
  if (record->started) {  // may only be sent, never forgotten
    s.cleared.push_front(start);
    record->state = Record::State::starting;
    return;
  }
  --lane.busy;
  s.left_air(*record);
  record->state = Record::State::waiting;
  if (!record->listed)
    (record->redelivery ? lane.redeliveries : lane.messages).insert_ordered(*record);
  s.consider(lane);
}

bool Lanes::current(const Start& start) const {
  return start.epoch == impl_->epoch;
}

bool Lanes::idle() const {
  return impl_->in_flight == 0 && impl_->cleared.empty();
}

Mono Lanes::next_due() const {
  const Mono latest = impl_->clock.mono() + Seconds{1};
  return impl_->timers.empty() ? latest : std::min(latest, impl_->timers.top().due);
}

}  // namespace eventhub
