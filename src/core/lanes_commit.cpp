// Lanes: what the ordered writer did. Every answer either frees a lane, fills one from `parked` or
// tells that nothing more is there.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "lanes_state.hpp"

namespace eventhub {

void Lanes::committed(const LaneOp& op, const LaneAnswer& answer) {
  Impl& s = *impl_;
  EVENTHUB_FAULT_POINT_IF(std::holds_alternative<ParkMessage>(op), "parked.in");
  EVENTHUB_FAULT_POINT_IF(std::holds_alternative<MoveLowWater>(op), "own.low_water_moved");
  if (const auto* attempt = std::get_if<RecordAttempt>(&op)) return s.attempt_committed(*attempt);
  if (const auto* lane = std::get_if<LoadLane>(&op)) return s.lane_loaded(*lane, answer);
  if (const auto* keys = std::get_if<LoadKeys>(&op)) return s.keys_loaded(*keys, answer);
  if (const auto* load = std::get_if<LoadRedeliveries>(&op)) {
    return s.redeliveries_loaded(*load, answer);
  }
  if (std::holds_alternative<LoadDiscards>(op)) return s.discards_taken(answer);
  if (const auto* load = std::get_if<LoadExpired>(&op)) return s.expired_loaded(*load, answer);
}

void Lanes::Impl::attempt_committed(const RecordAttempt& op) {
  Record* record = find(op.ref);
  if (!record) return;
  Lane& lane = *record->lane;
  SubscriberState& state = *lane.share->subscriber;
  if (op.outcome == Outcome::started) {
    record->started = true;
    if (!state.row) {  // deleted meanwhile: it is not sent
      left_air(*record);
      --lane.busy;
      return finish(*record, Outcome::cancelled, "", "the subscriber was deleted");
    }
    cleared.push_back({op.ref, op.lane, op.attempt, op.redelivery, epoch, state.row});
    return;
  }
  EVENTHUB_FAULT_POINT_IF(op.outcome == Outcome::retry, "retry.scheduled");
  EVENTHUB_FAULT_POINT_IF(is_dead_letter(op.outcome), "dlq.after_commit");
  --shards.at(op.lane.shard).recording;
  --lane.busy;
  lane.lingers = false;
  if (is_final(op.outcome)) {
    if (op.parked) --lane.share->parked;
    if (op.outcome == Outcome::delivered || op.outcome == Outcome::cancelled) {
      const auto dead = blocked.find(op.lane);
      if (dead != blocked.end() && dead->second.erase(op.ref) && dead->second.empty()) {
        blocked.erase(dead);
      }
    }
    erase(*record);
  } else {
    record->state = Record::State::waiting;
    if (!record->listed) schedule(record->due, lane, record->ref);
  }
  const auto low = static_cast<std::size_t>(config.load_rows) / 4;
  if (lane.source == Lane::Source::parked && lane.messages.size < low) refill(lane);
  Share& share = *lane.share;
  consider(lane);
  if (!share.known) scan(share);
}

// ── ends without a request ──

void Lanes::Impl::finish(Record& record, Outcome outcome, std::string why, std::string error) {
  Lane& lane = *record.lane;
  if (record.listed) (record.redelivery ? lane.redeliveries : lane.messages).remove(record);
  record.state = Record::State::recording;
  record.final_ = true;
  ++lane.busy;  // what follows in the lane waits for the commit
  ++shards.at(lane.share->shard).recording;
  RecordAttempt op;
  op.ref = record.ref;
  op.lane = lane.id();
  op.attempt = record.attempt;
  op.outcome = outcome;
  op.attempted_at = clock.now();
  op.error = std::move(error);
  op.reason = std::move(why);
  op.parked = record.parked;
  op.redelivery = record.redelivery;
  const SubscriberPtr& row = lane.share->subscriber->row;
  if (row && row->on_dead == OnDead::block && lane.keyed() && is_dead_letter(outcome)) {
    blocked[op.lane].insert(record.ref);
  }
  ops.emplace_back(std::move(op));
}

// After a take-over: at most once with a committed `started` is final; in careful mode an attempt
// that has only `started` counts, so that a message that kills its worker is not tried for ever.
bool Lanes::Impl::finish_if_spent(Record& record) {
  if (!record.started) return false;
  const SubscriberPtr& row = record.lane->share->subscriber->row;
  if (!row) return false;
  if (row->guarantee == Guarantee::at_most_once) {
    finish(record, Outcome::unknown, "unknown_outcome",
           "the process that sent it was lost before the answer was recorded");
    return true;
  }
  record.started = false;
  if (record.attempt <= row->retry.limit) return false;
  finish(record, Outcome::dead, "worker_crashed",
         "every attempt ended with the loss of its process");
  return true;
}

// The subscriber was deleted.
void Lanes::Impl::cancel_waiting(Lane& lane) {
  for (RecordList* list : {&lane.redeliveries, &lane.messages}) {
    Record* record = list->head;
    while (record) {
      Record* next = record->next;
      if (record->state == Record::State::waiting) {
        finish(*record, Outcome::cancelled, "", "the subscriber was deleted");
      }
      record = next;
    }
  }
}

// Unordered messages between retries are in no list.
void Lanes::Impl::cancel_between_retries(SubscriberState& state) {
  for (auto& [ref, record] : records) {
    if (record.lane->share->subscriber != &state || record.listed) continue;
    if (record.state != Record::State::waiting) continue;
    finish(record, Outcome::cancelled, "", "the subscriber was deleted");
  }
}

// ── loads ──

void Lanes::Impl::load_record(const LoadedMessage& row, Lane& lane) {
  Record& record = add_record(row.ref, lane, false);
  record.attempt = row.attempt;
  record.started = row.started;
  record.due = mono(row.due_at);
  record.parked = true;
  lane.messages.insert_ordered(record);
  finish_if_spent(record);
}

void Lanes::Impl::lane_loaded(const LoadLane& op, const LaneAnswer& answer) {
  Lane* found = find_lane(op.lane);
  if (!found || !found->asked) return;
  Lane& lane = *found;
  count_asked(lane, 0);
  if (op.generation != lane.generation) return consider(lane);  // older than an eviction
  bool all = answer.messages.size() < static_cast<std::size_t>(op.limit);
  const Time now = clock.now();
  bool later = false;
  std::size_t added = 0;
  for (const LoadedMessage& row : answer.messages) {
    if (records.contains(row.ref)) continue;
    if (!lane.keyed() && row.due_at > now) {
      if (!later) lane.rest_due = mono(row.due_at);
      later = true;
      continue;
    }
    load_record(row, lane);
    ++added;
  }
  EVENTHUB_FAULT_POINT_IF(added > 0, "parked.out");
  const bool complete = all && op.parks == lane.parks && !lane.share->spilled;
  if (!lane.keyed()) {
    lane.rest = later || !all;
    if (!later) lane.rest_due = {};
    if (later && all) schedule(lane.rest_due, lane, {});
    if (lane.source == Lane::Source::parked && complete) set_source(lane, Lane::Source::memory);
    if (!lane.rest && lane.source == Lane::Source::memory) drains.erase(&lane);
  } else if (complete) {
    set_source(lane, Lane::Source::memory);
  } else if (lane.source == Lane::Source::unknown) {
    // More is parked than was read: what was read is the beginning, all behind it leaves memory.
    const auto& rows = answer.messages;
    evict(lane, WaitReason::memory, rows.empty() ? MessageRef{} : rows.back().ref);
  }
  Share& share = *lane.share;
  if (added == 0 && lane.source == Lane::Source::parked) {
    // Nothing new: a key of a spilled share is dropped, the scan of keys finds it again when it
    // must.
    const bool idle = answer.messages.empty() && !lane.messages.size && !lane.busy;
    if (lane.keyed() && share.spilled && idle) {
      set_source(lane, Lane::Source::unknown);
    } else {
      lane.rest_due = std::max(lane.rest_due, clock.mono() + Millis{100});
    }
  }
  consider(lane);
  if (!share.known) scan(share);
}

void Lanes::Impl::keys_loaded(const LoadKeys& op, const LaneAnswer& answer) {
  const auto shard = shards.find(op.shard);
  if (shard == shards.end()) return;
  const auto found = shard->second.shares.find(op.sid);
  if (found == shard->second.shares.end() || !found->second.scanning) return;
  Share& share = found->second;
  share.scanning = false;
  for (const std::int64_t khash : answer.keys) {
    share.scan_after = khash;
    const bool existed = share.keyed.contains(khash);
    Lane& lane = make_lane({op.shard, op.sid, khash});
    if (existed && lane.source != Lane::Source::unknown) continue;
    ++share.scan_found;
    if (!existed) set_source(lane, Lane::Source::parked);
    refill(lane);
  }
  if (answer.keys.size() == static_cast<std::size_t>(op.limit)) return;
  // The end of a pass. A spilled share goes back to the feed first; then a pass that finds nothing,
  // with nothing parked meanwhile, proves that keys without a lane have nothing parked.
  if (share.spilled) {
    share.spilled = false;
  } else if (share.scan_found == 0 && share.scan_parks == share.parks) {
    share.known = true;
    scans.erase(&share);
  }
  share.scan_after.reset();
  share.scan_found = 0;
  share.scan_parks = share.parks;
}

// Those of a subscriber that is held, or beyond their part of memory, are left where they are, and
// so is what follows them in a replay: the reads go round.
void Lanes::Impl::redeliveries_loaded(const LoadRedeliveries& op, const LaneAnswer& answer) {
  polling = false;
  const bool all = answer.messages.size() < static_cast<std::size_t>(op.limit);
  redelivery_after = all ? MessageRef{} : answer.messages.back().ref;
  const auto most = static_cast<std::size_t>(config.queue_rows_max) / 8;
  for (const LoadedMessage& row : answer.messages) {
    if (!shards.contains(row.lane.shard) || records.contains(row.ref)) continue;
    if (redelivery_records > most || subscriber(row.ref.sid).held()) continue;
    if (row.follows && !records.contains(MessageRef{*row.follows, row.ref.sid})) continue;
    Lane& lane = make_lane(row.lane);
    Record& record = add_record(row.ref, lane, true);
    record.attempt = row.attempt;
    record.started = row.started;
    record.due = mono(row.due_at);
    const bool later = !lane.keyed() && record.due > clock.mono();
    if (later) {
      schedule(record.due, lane, record.ref);
    } else {
      lane.redeliveries.insert_ordered(record);
    }
    EVENTHUB_FAULT_POINT("redelivery.taken");
    if (!finish_if_spent(record)) consider(lane);
  }
}

void Lanes::Impl::discards_taken(const LaneAnswer& answer) {
  discarding = false;
  for (const LoadedMessage& row : answer.messages) {
    EVENTHUB_FAULT_POINT("discard.taken");
    const auto dead = blocked.find(row.lane);
    if (dead == blocked.end()) continue;
    dead->second.erase(row.ref);
    if (dead->second.empty()) blocked.erase(dead);
    if (Lane* lane = find_lane(row.lane)) consider(*lane);
  }
}

// Registered here before it is ended, and left alone when it is in flight, starting or answered.
void Lanes::Impl::expired_loaded(const LoadExpired& op, const LaneAnswer& answer) {
  expiring = false;
  if (answer.messages.size() == static_cast<std::size_t>(op.limit)) expire = op.below;
  for (const LoadedMessage& row : answer.messages) {
    if (!shards.contains(row.lane.shard)) continue;
    Record* record = find(row.ref);
    if (record && (record->state != Record::State::waiting || record->redelivery)) continue;
    if (!record) {
      record = &add_record(row.ref, make_lane(row.lane), false);
      record->attempt = row.attempt;
      record->parked = true;
    }
    uncount(*record);
    record->parked = true;
    finish(*record, Outcome::expired, "retention", "older than the retention time");
    int& expired = record->lane->share->subscriber->expired;
    std::get<RecordAttempt>(ops.back()).summarise = ++expired > config.dlq_copy_max;
  }
}

}  // namespace eventhub
