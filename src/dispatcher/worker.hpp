#pragma once
#include <map>
#include <set>

#include "eventhub/http/client.hpp"
#include "eventhub/store/feed.hpp"
#include "eventhub/store/lane_writer.hpp"
#include "eventhub/store/ownership.hpp"
#include "webhook.hpp"

namespace eventhub::dispatcher {

// The dispatcher of a process: three loops around Lanes, the state machine that decides.
//   own_loop (own.cpp)     the session: heartbeat, shards, and every write Lanes asks for
//   feed_loop (feed.cpp)   messages of the owned shards into Lanes
//   deliver (deliver.cpp)  what Lanes lets go, out as webhooks and back as results
class Worker final : public store::Role {
 public:
  explicit Worker(store::Context& context);
  std::string_view name() const override { return "dispatcher"; }
  Task<void> run() override;
  void stop() override;

 private:
  // Shards whose feed stands at the same place. A take-over makes a new one, which rebuilds up to
  // `rebuild_end` and merges into another when both stand alike.
  struct Cohort {
    std::vector<std::int16_t> shards;
    std::int64_t position = 0;
    std::int64_t rebuild_end = 0;
  };

  // own.cpp
  Task<void> own_loop();
  Task<void> own_session();
  Task<void> write_batch();
  Task<void> balance();
  Task<void> take(int count);
  Task<void> hand_over();
  Task<void> leave();
  void lost_session(std::string_view why);
  bool all_done() const;

  // feed.cpp
  Task<void> feed_loop();
  Task<bool> feed_some(store::MessageFeed& feed);
  void merge_cohorts();
  void drop_from_cohorts(std::int16_t shard);

  // deliver.cpp
  void pump();
  Task<void> pump_loop();
  Task<void> deliver(Start start);
  // What an attempt came to; `reason` when it could not even be tried, and not for the egress
  // policy.
  struct Sent {
    AttemptResult result;
    std::string reason;
  };
  static Sent impossible(std::string reason, std::string error);
  Task<Sent> send(Start start, EventPtr event, Time sent_at);
  void settle(const Start& start, const Sent& sent, Time sent_at);

  void observe();

  store::Context& context_;
  store::Payloads payloads_;
  store::Ownership ownership_;
  store::LaneWriter writer_;
  http::Client client_;
  Endpoints endpoints_;
  Lanes lanes_;
  std::vector<Cohort> cohorts_;
  std::set<std::int16_t> releasing_;
  Wakeup work_;   // for own_loop: something to write
  Wakeup ready_;  // for pump_loop
  std::uint32_t session_number_ = 0;
  store::NodesSeen seen_;
  Mono heartbeat_due_{}, balance_due_{}, requests_due_{}, observe_due_{}, tick_due_{};
  std::set<Uuid> pending_seen_;  // subscribers with a gauge
  int in_flight_ = 0;
  int loops_ = 0;  // still running beside own_loop
  bool stopping_ = false, stopped_ = false;
};

}  // namespace eventhub::dispatcher
