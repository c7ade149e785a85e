// Lanes against a model of the database: random interleavings of fan-out, feed, send, answer,
// commit, park, drain, pause, redelivery, lost sessions and lost processes. The rules are those of
// docs/architecture.md.
#include "lanes_world.hpp"

#include <algorithm>
#include <cstdlib>

#include "support/catch.hpp"

namespace eventhub::test {

World::World(std::uint64_t seed) : random_(seed), subscribers_(std::make_shared<SubscriberSet>()) {
  for (std::int32_t sid = 1; sid <= kSids; ++sid) {
    auto row = std::make_shared<Subscriber>();
    row->sid = sid;
    row->retry.limit = 2;
    row->max_in_flight = sid == 4 ? 1 : 64;
    if (sid == 2) row->guarantee = Guarantee::at_most_once;
    if (sid == 3) row->on_dead = OnDead::block;
    subscribers_->by_sid[sid] = row;
  }
  config_.queue_rows_max = chance(0.5) ? 16 : 64;
  config_.load_rows = 4;
  config_.lane_rows_spill = 4;
  config_.park_after = Millis{3'000};
  config_.lwm_interval = Millis{500};
  config_.takeover_extra = Millis{1'000};
  config_.default_timeout = Millis{1'000};
  lanes_ = std::make_unique<Lanes>(config_, clock_);
  failing_ = chance(0.3) ? 0.7 : 0.3;
  take_over(false);
}

void World::take_over(bool wait) {
  lanes_->set_subscribers(subscribers_);
  fed_ = seq_;
  for (std::int16_t shard = 0; shard < kOwned; ++shard) {
    Takeover takeover{shard, lwm_[shard], wait, false, {}, {}};
    std::set<std::int32_t> sids;
    for (const auto& [ref, row] : parked_) {
      if (row.lane.shard == shard) sids.insert(ref.sid);
    }
    takeover.parked_sids.assign(sids.begin(), sids.end());
    for (const auto& [ref, open] : messages_) {
      const bool blocks =
          open.finals && is_dead_letter(open.outcome) && open.lane.khash && ref.sid == 3;
      if (blocks && open.lane.shard == shard) {
        takeover.blocking.push_back({ref, open.lane, 0, false, clock_.now()});
      }
    }
    lanes_->acquire(takeover);
    fed_ = std::min(fed_, lwm_[shard]);
  }
  rebuild_ = seq_;
  window_.reset();
  acknowledgements_.clear();
  lanes_->poll_requests();
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
  if (window_ || fed_ >= seq_ || !lanes_->wants_feed()) return;
  const std::int64_t end = std::min(seq_, fed_ + 1 + pick(3));
  std::vector<FedMessage> rows;
  for (const auto& [ref, open] : messages_) {
    if (ref.event_seq <= fed_ || ref.event_seq > end) continue;
    if (ref.event_seq <= rebuild_ && (open.finals || parked_.contains(ref))) continue;
    FedMessage fed{
        {ref, open.lane.shard, open.lane.khash}, open.attempt, open.started, open.due_at};
    rows.push_back(fed);
  }
  window_ = {end, std::move(rows)};
}

void World::feed_apply() {
  if (!window_) return;
  std::vector<std::int16_t> shards;
  std::vector<FedMessage> rows;
  for (std::int16_t shard = 0; shard < kOwned; ++shard) shards.push_back(shard);
  for (const FedMessage& row : window_->second) {
    if (row.message.ref.event_seq > lwm_[row.message.shard]) rows.push_back(row);
  }
  lanes_->feed(rows, shards, window_->first);
  fed_ = window_->first;
  window_.reset();
}

void World::check_send(const Start& start) {
  Open& open = messages_.at(start.ref);
  for (const Start& other : air_) {
    const bool same_key = start.lane.khash && other.lane == start.lane;
    if (same_key || other.ref == start.ref) throw Broken("two in the air of one key");
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
  check_send(*next);
  air_.push_back(*next);
}

void World::answer() {
  if (air_.empty()) return;
  const auto at = air_.begin() + pick(static_cast<int>(air_.size()));
  const Start start = *at;
  air_.erase(at);
  Ended ended;
  ended.attempted_at = clock_.now();
  const bool ok = (calm_ && start.redelivery) || !chance(calm_ ? 0.2 : failing_);
  if (!ok) {
    const bool spent = start.ref.sid == 2 || start.attempt > 2;
    ended.outcome = spent ? Outcome::dead : Outcome::retry;
    ended.wait = Millis{pick(4) * 500};
  }
  lanes_->ended(start, ended);
}

// ── faults and people ──

void World::crash() {
  if (chance(0.5)) {  // the session is lost, the process lives: its requests go on
    lanes_->reset();
    take_over(false);
    return;
  }
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
      redeliveries_.insert(ref);
      break;
    }
  }
  lanes_->poll_requests();
}

void World::pause() {
  auto changed = std::make_shared<SubscriberSet>(*subscribers_);
  const std::int32_t sid = 1 + pick(kSids);
  auto row = std::make_shared<Subscriber>(*changed->by_sid.at(sid));
  if (chance(0.5))
    row->paused = !calm_ && !row->paused;
  else
    row->active = calm_ || !row->active;
  changed->by_sid[sid] = row;
  subscribers_ = changed;
  lanes_->set_subscribers(subscribers_);
}

void World::pass_time() {
  clock_.advance(Millis{pick(4) * 300});
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
    row = copy;
  }
  subscribers_ = resumed;
  lanes_->set_subscribers(subscribers_);
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
  for (const auto& [shard, lwm] : lwm_) {
    if (lwm != fed_) throw Broken("the low water stands still");
  }
}

void World::run(int steps) {
  const int crashes = chance(0.3) ? 0 : 1 + pick(3);
  const int traffic = 1 + pick(8);
  for (int i = 0; i < steps; ++i) {
    const int dice = pick(100 + crashes + traffic);
    if (dice < 10)
      feed_read();
    else if (dice < 20)
      feed_apply();
    else if (dice < 38)
      start();
    else if (dice < 52)
      answer();
    else if (dice < 68)
      commit(static_cast<std::size_t>(1 + pick(6)));
    else if (dice < 86)
      acknowledge();
    else if (dice < 95)
      pass_time();
    else if (dice < 97)
      press();
    else if (dice < 98)
      pause();
    else if (dice < 99)
      lanes_->tick();
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
  const int seeds = from_env ? std::atoi(from_env) : 600;
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
