// Lanes: the public calls and the feed. Ownership of shards is in lanes_own.cpp, starting in
// lanes_start.cpp, answers of the writer in lanes_commit.cpp, parking in lanes_park.cpp.
#include "eventhub/core/lanes.hpp"

#include <algorithm>

#include "lanes_state.hpp"

namespace eventhub {

// ── lists ──

void RecordList::push_back(Record& record) {
  record.next = nullptr;
  (tail ? tail->next : head) = &record;
  tail = &record;
  record.listed = true;
  ++size;
}

void RecordList::insert_ordered(Record& record) {
  if (!tail || tail->ref < record.ref) return push_back(record);
  Record** at = &head;
  while (*at && (*at)->ref < record.ref) at = &(*at)->next;
  record.next = *at;
  *at = &record;
  record.listed = true;
  ++size;
}

void RecordList::remove(Record& record) {
  Record** at = &head;
  Record* before = nullptr;
  while (*at != &record) {
    before = *at;
    at = &(*at)->next;
  }
  *at = record.next;
  if (tail == &record) tail = before;
  record.next = nullptr;
  record.listed = false;
  --size;
}

bool ById::operator()(const Share* a, const Share* b) const {
  return std::pair(a->shard, a->subscriber->sid) < std::pair(b->shard, b->subscriber->sid);
}

LaneId Lane::id() const {
  return {share->shard, share->subscriber->sid, khash};
}

// ── look-ups ──

SubscriberState& Lanes::Impl::subscriber(std::int32_t sid) {
  const auto [found, made] = subscriber_states.try_emplace(sid);
  SubscriberState& state = found->second;
  if (made) {
    state.sid = sid;
    const auto row = subscribers->by_sid.find(sid);
    if (row != subscribers->by_sid.end()) state.row = row->second;
    const auto ghosts = ghosts_of.find(sid);
    if (ghosts != ghosts_of.end()) state.in_flight = ghosts->second;
    const auto ill = health.find(sid);
    if (ill != health.end()) state.health.seen(&ill->second, clock.mono());
    update_cap(state);
  }
  return state;
}

Share& Lanes::Impl::share_of(std::int16_t shard, std::int32_t sid) {
  ShardState& state = shards.at(shard);
  const auto [found, made] = state.shares.try_emplace(sid);
  Share& share = found->second;
  if (made) {
    share.shard = shard;
    share.subscriber = &subscriber(sid);
    share.subscriber->shares.insert(&share);
    share.unordered.share = &share;
  }
  return share;
}

Lane* Lanes::Impl::find_lane(const LaneId& id) {
  const auto shard = shards.find(id.shard);
  if (shard == shards.end()) return nullptr;
  const auto share = shard->second.shares.find(id.sid);
  if (share == shard->second.shares.end()) return nullptr;
  if (!id.khash) return &share->second.unordered;
  const auto lane = share->second.keyed.find(*id.khash);
  return lane == share->second.keyed.end() ? nullptr : &lane->second;
}

Lane& Lanes::Impl::make_lane(const LaneId& id) {
  Share& share = share_of(id.shard, id.sid);
  if (!id.khash) return share.unordered;
  const auto [found, made] = share.keyed.try_emplace(*id.khash);
  Lane& lane = found->second;
  if (made) {
    lane.share = &share;
    lane.khash = id.khash;
    lane.source = share.known ? Lane::Source::memory : Lane::Source::unknown;
  }
  return lane;
}

Record* Lanes::Impl::find(const MessageRef& ref) {
  const auto found = records.find(ref);
  return found == records.end() ? nullptr : &found->second;
}

Record& Lanes::Impl::add_record(const MessageRef& ref, Lane& lane, bool redelivery) {
  Record& record = records[ref];
  record.ref = ref;
  record.lane = &lane;
  record.redelivery = redelivery;
  ++lane.share->records;
  ++lane.share->subscriber->records;
  redelivery_records += redelivery ? 1 : 0;
  return record;
}

void Lanes::Impl::uncount(Record& record) {
  if (record.window == 0) return;
  ShardState& shard = shards.at(record.lane->share->shard);
  --shard.windows[record.window - shard.first_window].open;
  record.window = 0;
}

void Lanes::Impl::erase(Record& record) {
  uncount(record);
  Lane& lane = *record.lane;
  if (record.listed) (record.redelivery ? lane.redeliveries : lane.messages).remove(record);
  --lane.share->records;
  --lane.share->subscriber->records;
  redelivery_records -= record.redelivery ? 1 : 0;
  const MessageRef ref = record.ref;
  records.erase(ref);
}

void Lanes::Impl::erase_if_idle(Lane& lane) {
  if (!lane.keyed() || lane.source == Lane::Source::parked) return;
  if (lane.messages.size || lane.redeliveries.size || lane.busy || lane.asked || lane.ready) return;
  drains.erase(&lane);
  lane.share->keyed.erase(*lane.khash);
}

// Due times are wall time in the database and monotonic here.
Mono Lanes::Impl::mono(Time due) const {
  const auto wait = due - clock.now();
  return wait.count() > 0 ? clock.mono() + wait : clock.mono();
}

Time Lanes::Impl::wall(Mono due) const {
  const Mono now = clock.mono();
  if (due <= now) return clock.now();
  return clock.now() + std::chrono::duration_cast<Micros>(due - now);
}

// ── subscribers ──

void Lanes::set_subscribers(SubscriberSetPtr subscribers) {
  Impl& s = *impl_;
  if (s.subscribers == subscribers) return;
  s.subscribers = std::move(subscribers);
  for (auto& [sid, state] : s.subscriber_states) {
    const auto row = s.subscribers->by_sid.find(sid);
    const SubscriberPtr before = std::move(state.row);
    state.row = row == s.subscribers->by_sid.end() ? nullptr : row->second;
    if (before && state.row) s.renewed(state, *before);
  }
  s.update_caps();
  for (auto& [sid, state] : s.subscriber_states) {
    if (!state.row && state.records) s.cancel_between_retries(state);
    state.resting = false;
    s.consider_all(state);
  }
}

// ── feed ──

bool Lanes::wants_feed() const {
  const auto max = static_cast<std::size_t>(impl_->config.queue_rows_max);
  return impl_->records.size() < max && impl_->ops.size() < max;
}

void Lanes::Impl::feed_one(const FedMessage& fed, ShardState& shard) {
  const Message& message = fed.message;
  if (records.contains(message.ref)) return;
  Share& share = share_of(message.shard, message.ref.sid);
  const LaneId id{message.shard, message.ref.sid, message.khash};
  Lane* existing = find_lane(id);
  if (share.spilled || (existing && existing->source == Lane::Source::parked)) {
    return park_directly(fed, share, existing);
  }
  Lane& lane = existing ? *existing : make_lane(id);
  Record& record = add_record(message.ref, lane, false);
  record.attempt = fed.attempt;
  record.started = fed.started;
  if (fed.due_at) record.due = mono(*fed.due_at);
  record.window = shard.first_window + shard.windows.size() - 1;
  ++shard.windows.back().open;
  // An unordered message between retries is in no list: it holds up nobody.
  const bool later = !lane.keyed() && record.due > clock.mono();
  if (later) {
    schedule(record.due, lane, record.ref);
  } else {
    lane.messages.insert_ordered(record);
  }
  if (!finish_if_spent(record)) consider(lane);
}

void Lanes::feed(const std::vector<FedMessage>& messages,
                 const std::vector<std::int16_t>& fed_shards, std::int64_t window_end) {
  Impl& s = *impl_;
  const Mono now = s.clock.mono();
  for (const std::int16_t number : fed_shards) {
    ShardState& shard = s.shards.at(number);
    if (shard.windows.empty() || now - shard.windows.back().fed_at > Seconds{1}) {
      shard.windows.push_back({shard.lwm, 0, now});
    }
  }
  for (const FedMessage& fed : messages) s.feed_one(fed, s.shards.at(fed.message.shard));
  for (const std::int16_t number : fed_shards) s.shards.at(number).windows.back().end = window_end;
  s.relieve_memory();
}

// ── the rest of the public face ──

Lanes::Lanes(const LanesConfig& config, const Clock& clock)
    : impl_(std::make_unique<Impl>(config, clock)) {}
Lanes::~Lanes() = default;

void Lanes::begin_drain() {
  impl_->draining = true;
}

std::vector<LaneOp> Lanes::take_ops(std::size_t rows) {
  std::vector<LaneOp> taken;
  auto& ops = impl_->ops;
  const std::size_t count = std::min(rows, ops.size());
  taken.reserve(count);
  std::move(ops.begin(), ops.begin() + static_cast<std::ptrdiff_t>(count),
            std::back_inserter(taken));
  ops.erase(ops.begin(), ops.begin() + static_cast<std::ptrdiff_t>(count));
  impl_->patient = 0;  // what is left goes at once
  return taken;
}

bool Lanes::has_ops() const {
  return !impl_->ops.empty();
}

Mono Lanes::write_due() const {
  constexpr std::size_t kEnough = 256;  // more in one commit saves little
  const Impl& s = *impl_;
  if (s.ops.empty()) return Mono::max();
  if (s.ops.size() != s.patient || s.ops.size() >= kEnough || s.draining) return Mono{};
  return s.patient_since + s.config.result_linger;
}

void Lanes::poll_requests() {
  Impl& s = *impl_;
  constexpr int kRows = 1'000;
  if (!s.polling) s.ops.emplace_back(LoadRedeliveries{s.redelivery_after, kRows});
  if (!s.discarding) s.ops.emplace_back(LoadDiscards{});
  s.polling = s.discarding = true;
}

void Lanes::expire_below(std::int64_t event_seq) {
  impl_->expire = event_seq;
}

}  // namespace eventhub
