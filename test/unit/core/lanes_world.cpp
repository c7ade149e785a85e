// The model's database: what the ordered writer's operations do to the tables, and the invariants
// that hold at every commit.
#include "lanes_world.hpp"

#include <algorithm>

namespace eventhub::test {

// ── the writer ──

void World::apply_attempt(const RecordAttempt& op) {
  Open& open = messages_.at(op.ref);
  if (op.outcome == Outcome::started && op.ref.sid == 1) {
    check_circuit();
    begun_.insert(op.ref);
  }
  if (op.redelivery) {
    if (is_final(op.outcome)) {
      redeliveries_.erase(op.ref);
      open.outcome = op.outcome;
      return;
    }
    ParkedRow& row = redeliveries_.at(op.ref);
    if (op.attempt < row.attempt + (row.started ? 0 : 1)) throw Broken("attempts begin anew");
    row.attempt = op.attempt;
    row.started = op.outcome == Outcome::started;
    if (op.next_attempt_at) row.due_at = *op.next_attempt_at;
    return;
  }
  const auto row = parked_.find(op.ref);
  if (op.outcome == Outcome::started) {
    open.attempt = op.attempt;
    open.started = true;
    if (op.parked && row != parked_.end())
      row->second.started = true, row->second.attempt = op.attempt;
    return;
  }
  open.attempt = op.attempt;
  open.started = false;
  open.due_at = op.next_attempt_at;
  if (is_final(op.outcome)) {
    ++open.finals;
    open.outcome = op.outcome;
    if (op.parked) parked_.erase(op.ref);
  } else {
    if (open.attempt > 2) throw Broken("more attempts than the limit");
    if (op.parked && row != parked_.end()) {
      row->second = {op.lane, op.attempt, false, *op.next_attempt_at};
    }
  }
}

LoadedMessage World::loaded(const MessageRef& ref, const ParkedRow& row) const {
  return {ref, row.lane, row.attempt, row.started, row.due_at};
}

void World::load(const LoadLane& op, LaneAnswer& out) const {
  for (const auto& [ref, row] : parked_) {
    if (row.lane == op.lane) out.messages.push_back(loaded(ref, row));
  }
  if (!op.lane.khash) {
    const auto sooner = [](const auto& a, const auto& b) { return a.due_at < b.due_at; };
    std::stable_sort(out.messages.begin(), out.messages.end(), sooner);
  }
  if (out.messages.size() > static_cast<std::size_t>(op.limit)) {
    out.messages.resize(static_cast<std::size_t>(op.limit));
  }
}

void World::load_keys(const LoadKeys& op, LaneAnswer& out) const {
  std::set<std::int64_t> keys;
  for (const auto& [ref, row] : parked_) {
    const bool here = row.lane.shard == op.shard && ref.sid == op.sid && row.lane.khash;
    if (here && (!op.after || *row.lane.khash > *op.after)) keys.insert(*row.lane.khash);
  }
  for (const std::int64_t key : keys) {
    if (out.keys.size() < static_cast<std::size_t>(op.limit)) out.keys.push_back(key);
  }
}

void World::apply(const LaneOp& op, LaneAnswer& out) {
  if (const auto* attempt = std::get_if<RecordAttempt>(&op)) return apply_attempt(*attempt);
  if (const auto* park = std::get_if<ParkMessage>(&op)) {
    parked_.try_emplace(park->ref,
                        ParkedRow{park->lane, park->attempt, park->started, park->due_at});
  } else if (const auto* move = std::get_if<MoveLowWater>(&op)) {
    lwm_[move->shard] = std::max(lwm_[move->shard], move->lwm);
  } else if (const auto* lane = std::get_if<LoadLane>(&op)) {
    load(*lane, out);
  } else if (const auto* keys = std::get_if<LoadKeys>(&op)) {
    load_keys(*keys, out);
  } else if (const auto* again = std::get_if<LoadRedeliveries>(&op)) {
    for (const auto& [ref, row] : redeliveries_) {
      const bool full = out.messages.size() == static_cast<std::size_t>(again->limit);
      if (ref > again->after && !full) out.messages.push_back(loaded(ref, row));
    }
  } else if (const auto* expired = std::get_if<LoadExpired>(&op)) {
    for (const auto& [ref, row] : parked_) {
      if (ref.event_seq < expired->below) out.messages.push_back(loaded(ref, row));
    }
  }
}

// As the real writer: parks first, then attempts, low waters, reads last, all in one transaction.
void World::commit(std::size_t rows) {
  std::vector<LaneOp> ops = lanes_->take_ops(rows);
  Batch batch(ops.size());
  const auto phase = [](const LaneOp& op) {
    if (std::holds_alternative<ParkMessage>(op)) return 0;
    if (std::holds_alternative<RecordAttempt>(op)) return 1;
    return std::holds_alternative<MoveLowWater>(op) ? 2 : 3;
  };
  for (int now = 0; now < 4; ++now) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (phase(ops[i]) == now) apply(ops[i], batch[i].second);
    }
  }
  for (std::size_t i = 0; i < ops.size(); ++i) batch[i].first = std::move(ops[i]);
  if (!batch.empty()) acknowledgements_.push_back(std::move(batch));
  check();
}

void World::acknowledge() {
  if (acknowledgements_.empty()) return;
  const Batch batch = std::move(acknowledgements_.front());
  acknowledgements_.pop_front();
  for (const auto& [op, answer] : batch) lanes_->committed(op, answer);
}

void World::check() {
  for (const auto& [ref, open] : messages_) {
    if (open.finals > 1) throw Broken("two finals");
    const bool parked = parked_.contains(ref);
    if (!open.finals && ref.event_seq <= lwm_[open.lane.shard] && !parked) throw Broken("lost");
    if (open.finals && parked) throw Broken("parked row of a final message");
  }
}

// ── the health of sid 1 ──

// One more would go. Not for those that were marked (careful mode) while they might: they go.
void World::check_circuit() const {
  if (!known_ || known_->circuit == Circuit::closed) return;
  if (known_->circuit == Circuit::open || !known_->ours) throw Broken("sent by an open circuit");
  const auto ill = [](const Start& other) { return other.ref.sid == 1; };
  if (std::any_of(air_.begin(), air_.end(), ill) || !begun_.empty()) {
    throw Broken("two sent by a half-open circuit");
  }
}

void World::know(const std::optional<HealthSeen>& row) {
  // What was marked until now may go: all of it is seen before.
  if (careful_ > 0 && row && row->circuit != Circuit::closed) commit(10'000);
  known_ = row;
}

// What the answer of a message tells the process itself, before the table knows.
void World::learn(const Start& start, Sign sign) {
  if (start.ref.sid != 1 || !lanes_->current(start) || !known_) return;
  if (sign == Sign::delivered) {
    known_.reset();
  } else if (known_->ours) {
    HealthSeen open = *known_;
    open.circuit = Circuit::open;
    know(open);
  }
}

void World::exchange_health() {
  for (const HealthReport& report : lanes_->health_reports()) {
    if (report.sid == 1) health_.write(report, node_, clock_.mono());
  }
  read_ = health_.row(1, node_);
  know(read_);
  lanes_->set_health(known_ ? std::vector{*known_} : std::vector<HealthSeen>{});
}

// Who is resumed: a trigger forgets what the table knows, and Lanes what it read.
void World::begin_anew(const Subscriber& before, const Subscriber& after) {
  if (before.sid != 1) return;
  const bool resumed = (before.paused && !after.paused) || (!before.active && after.active);
  if (resumed) health_ = {};
  if (resumed && after.active && !after.paused) known_ = read_ = std::nullopt;
}

}  // namespace eventhub::test
