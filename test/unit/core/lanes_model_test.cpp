// Lanes against a model of the database: random interleavings of fan-out, feed, send, answer,
// commit, park, drain, pause, redelivery, hand-over, deleted subscribers, lost sessions and lost
// processes. The rules are those of docs/architecture.md.
#include "lanes_world.hpp"

#include <algorithm>
#include <cstdlib>

#include "support/catch.hpp"

namespace eventhub::test {

World::World(std::uint64_t seed) : random_(seed), subscribers_(std::make_shared<SubscriberSet>()) {
  limited_ = chance(0.5);
  const bool circuits = chance(0.5);
  for (std::int32_t sid = 1; sid <= kSids; ++sid) {
    auto row = std::make_shared<Subscriber>();
    row->sid = sid;
    row->retry.limit = 2;
    row->max_in_flight = sid == 4 ? 1 : 64;
    row->spread = sid == 4 ? 1 : kSpreadMax;
    if (sid == 4 && limited_) row->rate_limit = kRate;
    if (sid == 2) row->guarantee = Guarantee::at_most_once;
    if (sid == 3) row->on_dead = OnDead::block;
    if (sid == 1 && circuits) row->circuit = {2, Millis{1'000}};
    subscribers_->by_sid[sid] = row;
  }
  config_.queue_rows_max = chance(0.5) ? 16 : 64;
  config_.in_flight_max = chance(0.5) ? 4 : 64;
  config_.load_rows = 4;
  config_.lane_rows_spill = 4;
  config_.park_after = Millis{3'000};
  config_.lwm_interval = Millis{500};
  config_.takeover_extra = Millis{1'000};
  config_.default_timeout = Millis{1'000};
  lanes_ = std::make_unique<Lanes>(config_, clock_);
  failing_ = chance(0.3) ? 0.7 : 0.3;
  careful_ = chance(0.2) ? 0.5 : 0;
  take_over(false);
}

void World::take_over(bool wait) {
  lanes_->set_subscribers(subscribers_);
  window_.reset();
  acknowledgements_.clear();
  releasing_.clear();
  for (std::int16_t shard = 0; shard < kOwned; ++shard) acquire(shard, wait);
  lanes_->poll_requests();
}

void World::acquire(std::int16_t shard, bool wait) {
  Takeover takeover{shard, lwm_[shard], wait, wait && chance(careful_), {}, {}};
  for (const auto& [ref, row] : parked_) {
    if (row.lane.shard == shard) ++takeover.parked[ref.sid];
  }
  for (const auto& [ref, open] : messages_) {
    const bool blocks =
        open.finals && is_dead_letter(open.outcome) && open.lane.khash && ref.sid == 3;
    if (blocks && open.lane.shard == shard) {
      takeover.blocking.push_back({ref, open.lane, 0, false, clock_.now()});
    }
  }
  lanes_->acquire(takeover);
  fed_[shard] = lwm_[shard];
  rebuild_[shard] = seq_;
}

// A shard goes to another process, which here is this one again with nothing but the tables.
void World::hand_over() {
  const bool again = !releasing_.empty() && chance(0.7);
  const std::int16_t shard = again ? *releasing_.begin() : static_cast<std::int16_t>(pick(kOwned));
  if (releasing_.insert(shard).second) return lanes_->begin_release(shard);
  if (!acknowledgements_.empty() || !lanes_->drained(shard) || chance(0.3)) {
    if (chance(0.8)) return;
    lanes_->end_release(shard);
    releasing_.erase(shard);
    return;
  }
  for (const Start& start : air_) {
    if (start.lane.shard == shard) throw Broken("released with a request in the air");
  }
  lanes_->release(shard);
  releasing_.erase(shard);
  if (window_) std::erase(window_->shards, shard);
  acquire(shard, false);
  lanes_->poll_requests();
}

void World::remove_subscriber() {
  auto changed = std::make_shared<SubscriberSet>(*subscribers_);
  const std::int32_t sids[] = {1, 2, 4};
  changed->by_sid.erase(sids[pick(3)]);
  subscribers_ = changed;
  lanes_->set_subscribers(subscribers_);
}

void World::fan_out() {
  ++seq_;
  for (std::int32_t sid = 1; sid <= kSids; ++sid) {
    if (!chance(0.6)) continue;
    const int key = pick(4);  // 0: unordered, else a key that lives in one shard
    const LaneId lane{static_cast<std::int16_t>(key == 0 ? pick(kOwned) : key % kOwned), sid,
                      key == 0 ? std::nullopt : std::optional<std::int64_t>(key)};
    messages_[{seq_, sid}].lane = lane;
  }
}

// One snapshot: open messages of the window that are neither final nor parked.
void World::feed_read() {
  std::int64_t behind = seq_;
  for (const auto& [shard, position] : fed_) behind = std::min(behind, position);
  if (window_ || behind >= seq_ || !lanes_->wants_feed()) return;
  Window window{std::min(seq_, behind + 1 + pick(3)), {}, {}};
  for (const auto& [shard, position] : fed_) {
    if (position == behind) {
      window.shards.push_back(shard);
    } else {
      window.end = std::min(window.end, position);
    }
  }
  for (const auto& [ref, open] : messages_) {
    if (ref.event_seq <= behind || ref.event_seq > window.end) continue;
    const bool rebuilt = ref.event_seq <= rebuild_[open.lane.shard];
    if (rebuilt && (open.finals || parked_.contains(ref))) continue;
    FedMessage fed{
        {ref, open.lane.shard, open.lane.khash}, open.attempt, open.started, open.due_at};
    window.rows.push_back(fed);
  }
  window_ = std::move(window);
}

void World::feed_apply() {
  if (!window_) return;
  const std::vector<std::int16_t>& shards = window_->shards;
  std::erase_if(window_->rows, [&](const FedMessage& row) {
    return std::find(shards.begin(), shards.end(), row.message.shard) == shards.end();
  });
  if (!shards.empty()) lanes_->feed(window_->rows, shards, window_->end);
  for (const std::int16_t shard : shards) fed_[shard] = window_->end;
  window_.reset();
}

void World::check_send(const Start& start) {
  Open& open = messages_.at(start.ref);
  for (const Start& other : air_) {
    const bool same_key = start.lane.khash && other.lane == start.lane;
    if (same_key || other.ref == start.ref) throw Broken("two in the air of one key");
    if (start.ref.sid == 4 && other.ref.sid == 4) throw Broken("over max_in_flight");
  }
  if (start.ref.sid == 1 && !begun_.contains(start.ref)) check_circuit();
  // In careful mode it is marked first, and sent when that is committed.
  if (start.ref.sid == 4 && limited_ && careful_ == 0) {
    if (clock_.mono() < rested_) throw Broken("over its rate");
    rested_ = clock_.mono() + Millis{static_cast<int>(1'000 / kRate)};
  }
  for (const auto& [other, until] : lost_) {
    const bool same_key = start.lane.khash && other.lane == start.lane;
    if (same_key && clock_.mono() < until) throw Broken("beside one of a lost process");
  }
  if (start.redelivery) {
    if (!redeliveries_.contains(start.ref)) throw Broken("redelivery after its end");
    return;
  }
  if (open.finals) throw Broken("sent after its final result");
  if (start.ref.sid == 2 && open.sent) throw Broken("at most once sent twice");
  if (start.lane.khash) {
    for (const auto& [ref, other] : messages_) {
      const bool blocks = ref.sid == 3 && other.finals && is_dead_letter(other.outcome);
      if (blocks && other.lane == start.lane) throw Broken("sent past a blocking dead letter");
      if (ref >= start.ref) break;
      if (other.lane == start.lane && !other.finals)
        throw Broken("overtook " + std::to_string(ref.event_seq) + "/" + std::to_string(ref.sid) +
                     (parked_.contains(ref) ? " parked" : "") + " by " +
                     std::to_string(start.ref.event_seq));
    }
    if (!open.sent && first_sent_[start.lane] > start.ref) throw Broken("order");
    if (!open.sent) first_sent_[start.lane] = start.ref;
  }
  ++open.sent;
}

void World::start() {
  const std::optional<Start> next = lanes_->next();
  if (!next) return;
  if (!next->subscriber) throw Broken("sent for a deleted subscriber");
  check_send(*next);
  air_.push_back(*next);
}

void World::answer() {
  if (air_.empty()) return;
  const auto at = air_.begin() + pick(static_cast<int>(air_.size()));
  const Start start = *at;
  air_.erase(at);
  if (lanes_->current(start) && chance(0.05)) {
    --messages_.at(start.ref).sent;
    return lanes_->not_sent(start);
  }
  begun_.erase(start.ref);
  Ended ended;
  ended.attempted_at = clock_.now();
  ended.sign = Sign::delivered;
  const bool ok = (calm_ && start.redelivery) || !chance(calm_ ? 0.2 : failing_);
  if (!ok) {
    const bool spent = start.ref.sid == 2 || start.attempt > 2;
    ended.outcome = spent ? Outcome::dead : Outcome::retry;
    ended.wait = Millis{pick(4) * 500};
    ended.sign = Sign::failed;
  }
  learn(start, ended.sign);
  lanes_->ended(start, ended);
}

// ── faults and people ──

void World::crash() {
  rested_ = {};  // a process begins with what it may send at once
  begun_.clear();
  if (chance(0.5)) {  // the session is lost, the process lives: its requests go on
    lanes_->reset();
    known_ = read_;
    take_over(false);
    return;
  }
  ++node_;
  known_ = read_ = std::nullopt;
  // The process is lost; its requests end within the time-out, which the new owner waits for.
  lanes_ = std::make_unique<Lanes>(config_, clock_);
  for (const Start& start : air_) lost_.emplace_back(start, clock_.mono() + Millis{1'000});
  air_.clear();
  take_over(true);
}

void World::press() {
  for (const auto& [ref, open] : messages_) {
    const bool dead = open.finals && is_dead_letter(open.outcome) && ref.sid != 2;
    if (dead && !redeliveries_.contains(ref) && chance(0.5)) {
      redeliveries_[ref] = {open.lane, 0, false, clock_.now()};
      break;
    }
  }
  lanes_->poll_requests();
}

void World::pause() {
  auto changed = std::make_shared<SubscriberSet>(*subscribers_);
  const std::int32_t sid = 1 + pick(kSids);
  if (!changed->by_sid.contains(sid)) return;
  auto row = std::make_shared<Subscriber>(*changed->by_sid.at(sid));
  if (chance(0.5))
    row->paused = !calm_ && !row->paused;
  else
    row->active = calm_ || !row->active;
  begin_anew(*changed->by_sid.at(sid), *row);
  changed->by_sid[sid] = row;
  subscribers_ = changed;
  lanes_->set_subscribers(subscribers_);
}

void World::pass_time() {
  clock_.advance(Millis{pick(4) * 300});
  exchange_health();
  lanes_->tick();
}

bool World::everything_final() const {
  if (!redeliveries_.empty() || !air_.empty()) return false;
  for (const auto& [ref, open] : messages_) {
    if (!open.finals) return false;
    if (ref.sid == 3 && open.lane.khash && is_dead_letter(open.outcome)) return false;
  }
  return true;
}

void World::finish() {
  calm_ = true;
  auto resumed = std::make_shared<SubscriberSet>(*subscribers_);
  for (auto& [sid, row] : resumed->by_sid) {
    auto copy = std::make_shared<Subscriber>(*row);
    copy->paused = false;
    copy->active = true;
    begin_anew(*row, *copy);
    row = copy;
  }
  subscribers_ = resumed;
  lanes_->set_subscribers(subscribers_);
  for (const std::int16_t shard : releasing_) lanes_->end_release(shard);
  releasing_.clear();
  for (int i = 0; i < 8'000 && !everything_final(); ++i) {
    feed_read();
    feed_apply();
    for (int k = 0; k < 4; ++k) start();
    for (int k = 0; k < 4; ++k) answer();
    commit(50);
    acknowledge();
    if (i % 3 == 0) pass_time();
    if (i % 5 == 0) press();
  }
  if (!everything_final()) {
    for (const auto& [ref, open] : messages_) {
      if (open.finals) continue;
      throw Broken("stuck: " + std::to_string(ref.event_seq) + "/" + std::to_string(ref.sid) +
                   (parked_.contains(ref) ? " parked" : ""));
    }
    throw Broken("stuck: redeliveries");
  }
  for (int i = 0; i < 30; ++i) {
    clock_.advance(Millis{1'100});
    feed_read();
    feed_apply();
    lanes_->tick();
    commit(1'000);
    acknowledge();
  }
  if (!parked_.empty()) throw Broken("parked rows left");
  if (lanes_->counts().records) throw Broken("records left");
  if (!lanes_->counts().pending.empty()) throw Broken("pending at the end");
  if (!lanes_->counts().waiting.empty()) throw Broken("waiting at the end");
  for (std::int16_t shard = 0; shard < kOwned; ++shard) {
    if (!lanes_->drained(shard)) throw Broken("a shard that cannot be handed over");
  }
  for (const auto& [shard, lwm] : lwm_) {
    if (lwm != fed_[shard]) throw Broken("the low water stands still");
  }
}

void World::run(int steps) {
  const int crashes = chance(0.3) ? 0 : 1 + pick(3);
  const int traffic = 1 + pick(8);
  const double answered = chance(0.3) ? 0.3 : 1;
  for (int i = 0; i < steps; ++i) {
    const int dice = pick(100 + crashes + traffic);
    if (dice < 10)
      feed_read();
    else if (dice < 20)
      feed_apply();
    else if (dice < 38)
      start();
    else if (dice < 52) {
      if (chance(answered)) answer();
    } else if (dice < 68)
      commit(static_cast<std::size_t>(1 + pick(6)));
    else if (dice < 84)
      acknowledge();
    else if (dice < 88)
      hand_over();
    else if (dice < 95)
      pass_time();
    else if (dice < 97)
      press();
    else if (dice < 98)
      pause();
    else if (dice < 99)
      chance(0.1) ? remove_subscriber() : lanes_->tick();
    else if (dice < 100)
      lanes_->expire_below(chance(0.2) ? pick(static_cast<int>(seq_) + 1) : 0);
    else if (dice < 100 + crashes)
      crash();
    else
      fan_out();
  }
  finish();
}

TEST_CASE("lanes keep every promise under random interleavings and crashes") {
  const char* from_env = std::getenv("EVENTHUB_MODEL_SEEDS");
  const int seeds = from_env ? std::atoi(from_env) : 150;
  const char* only = std::getenv("EVENTHUB_MODEL_SEED");
  for (int seed = only ? std::atoi(only) : 1; seed <= (only ? std::atoi(only) : seeds); ++seed) {
    const int steps[] = {80, 300, 1'000};
    try {
      World(static_cast<std::uint64_t>(seed)).run(steps[seed % 3]);
    } catch (const std::exception& broken) {
      FAIL("seed " << seed << ": " << broken.what());
    }
  }
}

}  // namespace eventhub::test
