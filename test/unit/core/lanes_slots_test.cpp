// The slots of a process that all its subscribers share: those that hang, those that do not, and
// more that are busy than slots.
#include <deque>
#include <map>
#include <set>

#include "eventhub/core/lanes.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr int kSlots = 64;
constexpr std::int32_t kLiveSid = 1'000;

class SlotWorld {
 public:
  SlotWorld() : lanes_(config(), clock_) { subscribe(kLiveSid); }

  void subscribe(std::int32_t sid) {
    auto row = std::make_shared<Subscriber>();
    row->sid = sid;
    row->spread = 1;
    row->max_in_flight = 10'000;
    auto set = std::make_shared<SubscriberSet>(*subscribers_);
    set->by_sid[sid] = row;
    subscribers_ = set;
    lanes_.set_subscribers(subscribers_);
    const std::int16_t shard = shard_of(sid, 0, 1);
    if (shards_.insert(shard).second) lanes_.acquire({shard, seq_, false, false, {}, {}});
  }

  void feed(std::int32_t sid, int messages) {
    std::vector<FedMessage> fed;
    const std::int16_t shard = shard_of(sid, 0, 1);
    for (int i = 0; i < messages; ++i) fed.push_back({{{++seq_, sid}, shard, {}}, 0, false, {}});
    lanes_.feed(fed, {shards_.begin(), shards_.end()}, seq_);
  }

  // A subscriber that could take all slots.
  void hang(std::int32_t sid) {
    subscribe(sid);
    feed(sid, 2 * kSlots);
  }

  // What may go now goes. What went of the live subscriber is answered and the next may go, the
  // others never answer. How many of the live one.
  int run() {
    int live = 0;
    std::vector<Start> answers;
    do {
      for (const Start& start : answers) lanes_.ended(start, Ended{});
      for (const LaneOp& op : lanes_.take_ops(1'000)) lanes_.committed(op, {});
      answers.clear();
      while (const auto start = lanes_.next()) {
        ++sent_[start->ref.sid];
        if (start->ref.sid == kLiveSid) answers.push_back(*start);
      }
      live += static_cast<int>(answers.size());
    } while (!answers.empty());
    return live;
  }

  // Everything may go, and the one that is in the air for the longest is answered.
  void answer_the_oldest() {
    while (const auto start = lanes_.next()) {
      ++sent_[start->ref.sid];
      air_.push_back(*start);
    }
    lanes_.ended(air_.front(), Ended{});
    air_.pop_front();
    for (const LaneOp& op : lanes_.take_ops(1'000)) lanes_.committed(op, {});
  }

  const std::map<std::int32_t, int>& sent() const { return sent_; }

 private:
  static LanesConfig config() {
    LanesConfig config;
    config.in_flight_max = kSlots;
    return config;
  }

  ManualClock clock_;
  Lanes lanes_;
  SubscriberSetPtr subscribers_ = std::make_shared<SubscriberSet>();
  std::set<std::int16_t> shards_;
  std::int64_t seq_ = 0;
  std::map<std::int32_t, int> sent_;  // of each subscriber
  std::deque<Start> air_;
};

}  // namespace

TEST_CASE("subscribers that hang one after the other leave a slot for those that do not") {
  const int hanging = GENERATE(1, 3, 7, 12);
  INFO(hanging);
  SlotWorld world;
  for (int sid = 1; sid <= hanging; ++sid) {
    world.hang(sid);
    world.run();
    CHECK(world.sent().at(sid) >= 1);
  }
  world.feed(kLiveSid, 500);
  CHECK(world.run() == 500);
}

TEST_CASE("subscribers that hang at the same time leave slots for those that do not") {
  const int hanging = GENERATE(1, 3, 7, 30);
  INFO(hanging);
  SlotWorld world;
  for (int sid = 1; sid <= hanging; ++sid) {
    world.hang(sid);
  }
  world.run();
  CHECK(static_cast<int>(world.sent().size()) == hanging);
  world.feed(kLiveSid, 500);
  CHECK(world.run() == 500);
}

TEST_CASE("more busy subscribers than slots take turns") {
  const int busy = 2 * kSlots, turns = 5;
  SlotWorld world;
  for (int sid = 1; sid <= busy; ++sid) {
    world.subscribe(sid);
    world.feed(sid, 4 * turns);
  }
  for (int answers = 0; answers < busy * turns; ++answers) world.answer_the_oldest();
  CHECK(static_cast<int>(world.sent().size()) == busy);
  for (const auto& [sid, sent] : world.sent()) {
    INFO(sid);
    CHECK(sent >= turns - 1);
    CHECK(sent <= turns + 2);
  }
}

TEST_CASE("a subscriber alone may use nearly half of the slots") {
  SlotWorld world;
  world.hang(1);
  world.run();
  CHECK(world.sent().at(1) >= kSlots * 7 / 16);
  CHECK(world.sent().at(1) <= kSlots / 2);
}

}  // namespace eventhub
