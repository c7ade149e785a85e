// A subscriber with a rate: what it sends in a while, that it delays nobody, and what its messages
// wait for.
#include <algorithm>

#include "eventhub/core/lanes.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr std::int32_t kLimitedSid = 1, kFreeSid = 2;

SubscriberSetPtr one_of_two_limited(double rate, int spread = 1) {
  auto set = std::make_shared<SubscriberSet>();
  for (const std::int32_t sid : {kLimitedSid, kFreeSid}) {
    auto row = std::make_shared<Subscriber>();
    row->sid = sid;
    row->spread = spread;
    if (sid == kLimitedSid) row->rate_limit = rate;
    set->by_sid[sid] = row;
  }
  return set;
}

// One shard that both subscribers use.
struct RateWorld {
  explicit RateWorld(double rate, int spread = 1) {
    lanes.set_subscribers(one_of_two_limited(rate, spread));
    lanes.acquire(Takeover{shard, 0, false, false, {}, {}});
  }

  void feed(std::int32_t sid, int messages, std::optional<std::int64_t> khash = {}) {
    std::vector<FedMessage> fed;
    for (int i = 0; i < messages; ++i) fed.push_back({{{++seq, sid}, shard, khash}, 0, false, {}});
    lanes.feed(fed, {shard}, seq);
  }

  // Everything that may go, each delivered at once. How many of the limited one.
  int send_all() {
    int limited = 0;
    while (const auto start = lanes.next()) {
      limited += start->ref.sid == kLimitedSid ? 1 : 0;
      lanes.ended(*start, Ended{});
      for (const LaneOp& op : lanes.take_ops(1'000)) lanes.committed(op, {});
    }
    return limited;
  }

  std::size_t waiting(WaitReason why) const {
    for (const auto& [reason, messages] : lanes.counts().waiting) {
      if (reason == why) return messages;
    }
    return 0;
  }

  const std::int16_t shard = shard_of(kLimitedSid, 0, 1);
  ManualClock clock;
  Lanes lanes{LanesConfig{}, clock};
  std::int64_t seq = 0;
};

}  // namespace

TEST_CASE("lanes send a subscriber no more than its rate, and no less") {
  const double rate = GENERATE(0.5, 4.0, 50.0, 900.0);
  INFO(rate);
  RateWorld world(rate);
  world.feed(kLimitedSid, 20'000);
  int sent = 0;
  const Mono begin = world.clock.mono();
  while (world.clock.mono() - begin < Seconds{20}) {
    sent += world.send_all();
    const double seconds = std::chrono::duration<double>(world.clock.mono() - begin).count();
    CHECK(sent <= rate * (seconds + 0.1) + 1);
    // As a process does: it looks again when something is due.
    const auto wait = std::chrono::ceil<Millis>(world.lanes.next_due() - world.clock.mono());
    world.clock.advance(std::max(wait, Millis{1}));
  }
  CHECK(sent >= rate * 20 - 1);
}

TEST_CASE("lanes that wait for the rate of their subscriber say so and delay nobody else") {
  RateWorld world(1);
  world.feed(kLimitedSid, 5);
  world.feed(kFreeSid, 50);
  CHECK(world.send_all() == 1);
  CHECK(world.lanes.counts().records == 4);
  CHECK(world.waiting(WaitReason::rate) == 4);
  world.feed(kFreeSid, 50);
  CHECK(world.send_all() == 0);
  CHECK(world.lanes.counts().records == 4);
  world.clock.advance(Seconds{1});
  CHECK(world.send_all() == 1);
}

TEST_CASE("lanes of many keys share the rate of their subscriber") {
  RateWorld world(2);
  for (std::int64_t khash = 1; khash <= 10; ++khash) world.feed(kLimitedSid, 3, khash);
  int sent = world.send_all();
  for (int second = 1; second <= 10; ++second) {
    world.clock.advance(Seconds{1});
    sent += world.send_all();
    CHECK(sent <= 2 * second + 1);
  }
  CHECK(sent >= 11);  // one look a second finds one token
}

TEST_CASE("lanes take a new rate at once") {
  RateWorld world(0.001);
  world.feed(kLimitedSid, 100);
  CHECK(world.send_all() == 1);
  world.lanes.set_subscribers(one_of_two_limited(0));
  CHECK(world.send_all() == 99);
}

TEST_CASE("lanes of one process use their part of the rate") {
  RateWorld world(160, 16);  // one shard of sixteen
  world.feed(kLimitedSid, 1'000);
  int sent = 0;
  for (int ms = 0; ms < 10'000; ms += 10, world.clock.advance(Millis{10})) {
    sent += world.send_all();
  }
  CHECK(sent >= 99);
  CHECK(sent <= 102);
}

}  // namespace eventhub
