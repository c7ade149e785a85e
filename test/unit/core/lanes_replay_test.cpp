// Replays: redeliveries of a key that follow one another, whatever the reads bring when.
#include "eventhub/core/lanes.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr std::int32_t kReplaySid = 7;
const LaneId kReplayLane{3, kReplaySid, 77};

std::shared_ptr<SubscriberSet> replay_subscriber(bool paused) {
  auto row = std::make_shared<Subscriber>();
  row->sid = kReplaySid;
  row->ordering = OrderingKey::organization_id;
  row->paused = paused;
  auto set = std::make_shared<SubscriberSet>();
  set->version = paused ? 1 : 2;
  set->by_sid[kReplaySid] = row;
  return set;
}

struct ReplayLanes {
  ReplayLanes() : lanes(LanesConfig{}, clock) {
    lanes.set_subscribers(replay_subscriber(false));
    lanes.acquire(Takeover{3, 100, false, false, {}, {}});
  }
  LoadedMessage row(std::int64_t seq, std::optional<std::int64_t> follows) const {
    return {{seq, kReplaySid}, kReplayLane, 0, false, clock.now(), follows};
  }
  // What goes when the next read of redeliveries brings these.
  std::vector<Start> read(const std::vector<LoadedMessage>& rows) {
    lanes.poll_requests();
    commit(rows);
    std::vector<Start> started;
    while (std::optional<Start> start = lanes.next()) started.push_back(*start);
    return started;
  }
  void commit(const std::vector<LoadedMessage>& rows) {
    for (const LaneOp& op : lanes.take_ops(100)) {
      LaneAnswer answer;
      if (std::holds_alternative<LoadRedeliveries>(op)) answer.messages = rows;
      lanes.committed(op, answer);
    }
  }
  void deliver(const Start& start) {
    Ended ended;
    ended.outcome = Outcome::delivered;
    lanes.ended(start, std::move(ended));
    commit({});
  }

  ManualClock clock;
  Lanes lanes;
};

}  // namespace

TEST_CASE("lanes take what follows in a replay after what it follows") {
  ReplayLanes world;
  CHECK(world.read({world.row(9, 5)}).empty());
  const auto first = world.read({world.row(5, std::nullopt), world.row(9, 5)});
  REQUIRE(first.size() == 1);
  CHECK(first[0].ref.event_seq == 5);
  world.deliver(first[0]);
  const auto second = world.lanes.next();
  REQUIRE(second.has_value());
  CHECK(second->ref.event_seq == 9);
}

TEST_CASE("lanes leave the end of a replay that was held in the middle of a read") {
  ReplayLanes world;
  world.lanes.set_subscribers(replay_subscriber(true));
  CHECK(world.read({world.row(5, std::nullopt)}).empty());
  world.lanes.set_subscribers(replay_subscriber(false));
  world.clock.advance(Seconds{60});  // past its slow start
  CHECK(world.read({world.row(9, 5)}).empty());
  const auto started = world.read({world.row(5, std::nullopt), world.row(9, 5)});
  REQUIRE(started.size() == 1);
  CHECK(started[0].ref.event_seq == 5);
}

}  // namespace eventhub
