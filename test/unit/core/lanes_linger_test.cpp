// Results that may wait for others before they are written.
#include "eventhub/core/lanes.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

std::shared_ptr<SubscriberSet> subscribers() {
  auto set = std::make_shared<SubscriberSet>();
  for (const std::int32_t sid : {1, 2}) {
    auto row = std::make_shared<Subscriber>();
    row->sid = sid;
    row->max_in_flight = 64;
    row->spread = kSpreadMax;
    row->retry.limit = 3;
    row->retry.backoff_seconds = {1};
    if (sid == 2) row->guarantee = Guarantee::at_most_once;
    set->by_sid[sid] = row;
  }
  return set;
}

struct World {
  World() {
    config.result_linger = Millis{20};
    lanes = std::make_unique<Lanes>(config, clock);
    lanes->set_subscribers(subscribers());
    lanes->acquire(Takeover{0, 0, false, false, {}, {}});
  }

  // One message, sent and answered; everything queued before its result is written.
  void send(std::int32_t sid, std::optional<std::int64_t> khash, Outcome outcome) {
    feed(sid, khash);
    std::optional<Start> start = lanes->next();
    if (!start) {  // at most once: `started` first
      CHECK(lanes->write_due() == Mono{});
      write();
      start = lanes->next();
    }
    REQUIRE(start);
    Ended ended;
    ended.outcome = outcome;
    ended.wait = Millis{1'000};
    lanes->ended(*start, ended);
  }

  void feed(std::int32_t sid, std::optional<std::int64_t> khash) {
    ++seq;
    lanes->feed({FedMessage{{{seq, sid}, 0, khash}, 0, false, {}}}, {0}, seq);
  }

  void write() {
    for (const LaneOp& op : lanes->take_ops(1'000)) lanes->committed(op, {});
  }

  ManualClock clock;
  LanesConfig config;
  std::unique_ptr<Lanes> lanes;
  std::int64_t seq = 0;
};

}  // namespace

TEST_CASE("a delivered unordered message may wait for others to share its commit") {
  World world;
  CHECK(world.lanes->write_due() == Mono::max());
  world.send(1, {}, Outcome::delivered);
  const Mono due = world.clock.mono() + Millis{20};
  CHECK(world.lanes->write_due() == due);
  world.clock.advance(Millis{5});
  world.send(1, {}, Outcome::delivered);
  CHECK(world.lanes->write_due() == due);  // of the first
  world.write();
  CHECK(world.lanes->write_due() == Mono::max());
  world.send(1, {}, Outcome::delivered);
  CHECK(world.lanes->write_due() == world.clock.mono() + Millis{20});
  world.lanes->begin_drain();
  CHECK(world.lanes->write_due() == Mono{});
}

TEST_CASE("so may an ordered one, until the next message of its key comes") {
  World world;
  world.send(1, 5, Outcome::delivered);
  const Mono due = world.clock.mono() + Millis{20};
  CHECK(world.lanes->write_due() == due);
  world.send(1, 6, Outcome::delivered);
  CHECK(world.lanes->write_due() == due);  // of another key
  world.feed(1, 5);
  CHECK(world.lanes->write_due() == Mono{});
  CHECK_FALSE(world.lanes->next());  // the follower only after the commit
  world.write();
  CHECK(world.lanes->next());
}

TEST_CASE("a result is written at once when its key has a follower already") {
  World world;
  world.feed(1, 5);
  const std::optional<Start> first = world.lanes->next();
  REQUIRE(first);
  world.feed(1, 5);
  Ended ended;
  ended.outcome = Outcome::delivered;
  world.lanes->ended(*first, ended);
  CHECK(world.lanes->write_due() == Mono{});
}

TEST_CASE("nothing lingers that somebody waits for, or that a crash would make worse") {
  World world;
  const auto at_once = [&](std::int32_t sid, std::optional<std::int64_t> khash, Outcome outcome) {
    world.send(sid, khash, outcome);
    CHECK(world.lanes->write_due() == Mono{});
    world.write();
  };
  at_once(2, {}, Outcome::delivered);  // at most once: it would end as unknown
  at_once(1, {}, Outcome::dead);
  at_once(1, {}, Outcome::retry);
  world.send(1, {}, Outcome::delivered);
  at_once(1, 6, Outcome::dead);  // takes the one that waits along
  for (int i = 0; i < 300; ++i) world.send(1, {}, Outcome::delivered);
  CHECK(world.lanes->write_due() == Mono{});  // enough for a commit
}

}  // namespace eventhub
