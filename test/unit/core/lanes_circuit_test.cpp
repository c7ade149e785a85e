// What an open circuit and a slow start do to the messages of a subscriber.
#include <algorithm>

#include "eventhub/core/lanes.hpp"
#include "health_world.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr std::int32_t kIllSid = 5;

// A process that owns some of the shards, counted from the subscriber's first, and what it knows.
struct IllWorld {
  explicit IllWorld(int from = 0, int to = kShards) {
    row.sid = kIllSid;
    row.max_in_flight = 64;
    row.retry.limit = 3;
    row.circuit = {3, Millis{30'000}};
    set();
    for (int shard = from; shard < to; ++shard) {
      const int number = (shard_of(kIllSid, 0, kSpreadMax) + shard) % kShards;
      lanes.acquire(Takeover{static_cast<std::int16_t>(number), 0, false, false, {}, {}});
    }
  }

  void set() {
    auto all = std::make_shared<SubscriberSet>();
    all->by_sid[kIllSid] = std::make_shared<Subscriber>(row);
    lanes.set_subscribers(all);
  }

  // To the shards of the subscriber in turn.
  void feed(int messages) {
    for (int i = 0; i < messages; ++i) {
      ++seq;
      const auto shard = shard_of(kIllSid, static_cast<std::uint64_t>(seq), kSpreadMax);
      if (!lanes.owns(shard)) continue;
      lanes.feed({FedMessage{{{seq, kIllSid}, shard, {}}, 0, false, {}}}, {shard}, seq);
    }
  }

  // How many more go into the air.
  int send() {
    int sent = 0;
    for (; auto start = lanes.next(); ++sent) air.push_back(*start);
    return sent;
  }

  void answer(std::size_t count, Sign sign) {
    for (std::size_t i = 0; i < count && !air.empty(); ++i) {
      Ended ended;
      ended.sign = sign;
      if (sign == Sign::failed) ended.outcome = Outcome::retry, ended.wait = Millis{5'000};
      lanes.ended(air.back(), ended);
      air.pop_back();
    }
    for (const LaneOp& op : lanes.take_ops(10'000)) lanes.committed(op, {});
  }

  void exchange(test::HealthTable& shared) {
    for (const HealthReport& report : lanes.health_reports()) {
      shared.write(report, node, clock.mono());
    }
    const auto seen = shared.row(kIllSid, node);
    lanes.set_health(seen ? std::vector{*seen} : std::vector<HealthSeen>{});
  }

  std::size_t waiting(WaitReason why) const {
    for (const auto& [reason, messages] : lanes.counts().waiting) {
      if (reason == why) return messages;
    }
    return 0;
  }

  Subscriber row;
  ManualClock clock;
  Lanes lanes{LanesConfig{}, clock};
  test::HealthTable table;
  std::vector<Start> air;
  std::int64_t seq = 0;
  int node = 1;
};

}  // namespace

TEST_CASE("lanes of an open circuit wait for it and use no attempt") {
  IllWorld world;
  world.feed(200);
  CHECK(world.send() == 64);
  world.answer(3, Sign::failed);
  CHECK(world.send() == 0);  // at once, before anybody else knows
  CHECK(world.lanes.health_urgent());
  world.answer(100, Sign::failed);
  world.exchange(world.table);
  CHECK(world.table.circuit == Circuit::open);
  CHECK_FALSE(world.lanes.health_urgent());
  CHECK(world.waiting(WaitReason::circuit) == 136);
  CHECK(world.lanes.counts().circuits.size() == 1);
  world.clock.advance(Seconds{29});
  world.exchange(world.table);
  CHECK(world.send() == 0);
  CHECK(world.waiting(WaitReason::circuit) == 200);
  world.clock.advance(Seconds{1});
  world.exchange(world.table);
  CHECK(world.send() == 1);
  world.answer(1, Sign::failed);
  world.exchange(world.table);
  CHECK(world.send() == 0);
  int attempts = 0;
  world.clock.advance(Seconds{30});
  world.exchange(world.table);
  for (; world.send() == 1; world.answer(1, Sign::delivered)) ++attempts;
  CHECK(attempts > 0);  // closed again: one after the other
}

TEST_CASE("lanes send 1, 2, 4 and so on after a circuit has closed") {
  IllWorld world;
  world.feed(500);
  world.send();
  world.answer(64, Sign::failed);
  world.exchange(world.table);
  world.clock.advance(Seconds{30});
  world.exchange(world.table);
  CHECK(world.send() == 1);
  world.answer(1, Sign::delivered);
  for (const int most : {1, 2, 4, 8, 16, 32, 64, 64}) {
    world.send();
    CHECK(static_cast<int>(world.air.size()) == most);
    world.clock.advance(Seconds{1});
  }
}

TEST_CASE("lanes of several processes send 1, 2, 4 and so on together after a resume") {
  IllWorld one(0, 6), two(6, kShards);
  for (IllWorld* world : {&one, &two}) {
    world->row.paused = true;
    world->set();
    world->feed(500);
    CHECK(world->send() == 0);
    world->row.paused = false;
    world->set();
  }
  for (const int most : {1, 2, 4, 8, 16, 32}) {
    for (IllWorld* world : {&one, &two}) world->send();
    CHECK(static_cast<int>(one.air.size() + two.air.size()) <= most);
    CHECK(static_cast<int>(one.air.size() + two.air.size()) >= std::max(1, most - 1));
    for (IllWorld* world : {&one, &two}) world->clock.advance(Seconds{1});
  }
  for (IllWorld* world : {&one, &two}) world->clock.advance(Seconds{14});
  for (IllWorld* world : {&one, &two}) world->send();
  CHECK(one.air.size() + two.air.size() >= 63);
}

TEST_CASE("lanes of another process hear of a circuit, and only one of them probes it") {
  IllWorld one(0, 6), two(6, kShards);
  two.node = 2;
  test::HealthTable table;
  for (IllWorld* world : {&one, &two}) world->feed(500);
  one.send();
  one.answer(3, Sign::failed);
  one.exchange(table);
  two.exchange(table);
  CHECK(two.send() == 0);
  CHECK(two.waiting(WaitReason::circuit) > 0);
  for (IllWorld* world : {&one, &two}) world->clock.advance(Seconds{30});
  one.answer(100, Sign::none);
  two.exchange(table);
  one.exchange(table);
  CHECK(two.send() == 1);
  CHECK(one.send() == 0);
  two.answer(1, Sign::delivered);
  two.exchange(table);
  CHECK(table.circuit == Circuit::closed);
  CHECK(two.lanes.health_reports().empty());  // told once
  one.exchange(table);
  one.send();
  two.send();
  CHECK(one.air.size() + two.air.size() == 1);
}

TEST_CASE("lanes cancel what an open circuit held when its subscriber is deleted") {
  IllWorld world;
  world.feed(100);
  world.send();
  world.answer(64, Sign::failed);
  world.exchange(world.table);
  world.lanes.set_subscribers(std::make_shared<SubscriberSet>());
  CHECK(world.send() == 0);
  int cancelled = 0;
  for (const LaneOp& op : world.lanes.take_ops(10'000)) {
    const auto* attempt = std::get_if<RecordAttempt>(&op);
    cancelled += attempt && attempt->outcome == Outcome::cancelled ? 1 : 0;
    world.lanes.committed(op, {});
  }
  CHECK(cancelled == 100);
  CHECK(world.lanes.counts().records == 0);
}

TEST_CASE("lanes begin anew when their session is lost, and know the circuit all the same") {
  IllWorld world;
  world.feed(100);
  world.send();
  world.answer(64, Sign::failed);
  world.exchange(world.table);
  world.lanes.reset();
  world.set();
  for (std::int16_t shard = 0; shard < kShards; ++shard) {
    world.lanes.acquire(Takeover{shard, 0, false, false, {}, {}});
  }
  world.feed(100);
  CHECK(world.send() == 0);
}

}  // namespace eventhub
