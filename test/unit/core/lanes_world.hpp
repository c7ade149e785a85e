#pragma once
// A model of the database, the consumers and the crashes around Lanes, for lanes_model_test.cpp. It
// holds what the tables would hold and checks at every commit and every send that nothing is lost,
// doubled or reordered.
#include <deque>
#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "eventhub/core/lanes.hpp"
#include "health_world.hpp"

namespace eventhub::test {

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class World {
 public:
  explicit World(std::uint64_t seed);
  void run(int steps);

 private:
  static constexpr int kSids = 4;  // 1 plain, 2 at most once, 3 blocks on dead letters, 4 narrow
  static constexpr std::int16_t kOwned = 3;
  struct ParkedRow {
    LaneId lane;
    std::int16_t attempt;
    bool started;
    Time due_at;
  };
  struct Open {
    LaneId lane;
    int finals = 0;
    Outcome outcome{};
    std::int16_t attempt = 0;
    bool started = false;
    std::optional<Time> due_at;
    int sent = 0;
  };
  using Batch = std::vector<std::pair<LaneOp, LaneAnswer>>;

  int pick(int below) { return static_cast<int>(random_() % static_cast<std::uint64_t>(below)); }
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }
  void take_over(bool wait);
  void acquire(std::int16_t shard, bool wait);
  void hand_over();
  void remove_subscriber();
  void fan_out();
  void feed_read();
  void feed_apply();
  void start();
  void answer();
  void commit(std::size_t rows);
  void acknowledge();
  void crash();
  void press();
  void pause();
  void begin_anew(const Subscriber& before, const Subscriber& after);
  void pass_time();
  void exchange_health();
  void learn(const Start& start, Sign sign);
  void know(const std::optional<HealthSeen>& row);
  void check_circuit() const;
  void check();
  void finish();
  void apply(const LaneOp& op, LaneAnswer& out);
  void apply_attempt(const RecordAttempt& op);
  void load(const LoadLane& op, LaneAnswer& out) const;
  void load_keys(const LoadKeys& op, LaneAnswer& out) const;
  void check_send(const Start& start);
  bool everything_final() const;
  LoadedMessage loaded(const MessageRef& ref, const ParkedRow& row) const;

  std::mt19937_64 random_;
  ManualClock clock_;
  LanesConfig config_;
  std::unique_ptr<Lanes> lanes_;
  std::shared_ptr<SubscriberSet> subscribers_;
  // the database
  std::int64_t seq_ = 0;
  std::map<MessageRef, Open> messages_;
  std::map<MessageRef, ParkedRow> parked_;
  std::map<std::int16_t, std::int64_t> lwm_;
  std::map<MessageRef, ParkedRow> redeliveries_;
  // the owner
  struct Window {
    std::int64_t end = 0;
    std::vector<std::int16_t> shards;
    std::vector<FedMessage> rows;
  };
  std::map<std::int16_t, std::int64_t> fed_, rebuild_;
  std::set<std::int16_t> releasing_;
  std::optional<Window> window_;
  std::deque<Batch> acknowledgements_;
  // the consumers
  std::vector<Start> air_;
  std::vector<std::pair<Start, Mono>> lost_;  // of a lost process, until
  std::map<LaneId, MessageRef> first_sent_;
  double failing_ = 0.3;
  double careful_ = 0;  // share of take-overs in careful mode
  static constexpr double kRate = 4;
  bool limited_ = false;  // sid 4 sends kRate a second
  Mono rested_{};         // and not before
  HealthTable health_;    // of sid 1
  int node_ = 0;
  std::optional<HealthSeen> read_;   // by this process
  std::optional<HealthSeen> known_;  // … and what it learned itself since
  std::set<MessageRef> begun_;       // of sid 1: marked to be sent, and not ended
  bool calm_ = false;
};

}  // namespace eventhub::test
