#pragma once
#include <map>
#include <set>

#include "eventhub/http/client.hpp"
#include "eventhub/http/webhook.hpp"
#include "eventhub/store/feed.hpp"
#include "eventhub/store/lane_writer.hpp"
#include "eventhub/store/ownership.hpp"
#include "eventhub/store/payloads.hpp"
#include "eventhub/store/subscriber_health.hpp"

namespace eventhub::dispatcher {

// The dispatcher of a process: the loops around Lanes, the state machine that decides.
//   own_loop (own.cpp)     the session: heartbeat and every write that Lanes asks for (write.cpp),
//                          which shards are ours (balance.cpp)
//   feed_loop (feed.cpp)   messages of the owned shards into Lanes
//   health_loop (health.cpp)  what all dispatchers know together of receivers that fail
//   deliver (deliver.cpp)  what Lanes lets go, out as webhooks and back as results
class Worker final : public store::Role {
 public:
  explicit Worker(store::Context& context);
  std::string_view name() const override { return "dispatcher"; }
  Task<void> run() override;
  void stop() override;
  void held_up(Millis late) override;

 private:
  // Shards whose feed stands at the same place. A take-over makes a new one, which rebuilds up to
  // `rebuild_end` and merges into another when both stand alike.
  struct Cohort {
    std::uint64_t id = 0;
    std::vector<std::int16_t> shards;
    std::int64_t position = 0;
    std::int64_t rebuild_end = 0;
  };

  // own.cpp
  Task<void> own_loop();
  Task<void> own_session();
  Task<void> control_loop();
  bool ended() const;
  Task<void> leave();
  void forget_session();
  bool leaving() const { return leave_by_ != Mono{}; }
  bool given_up() const;
  Task<void> stay_away(Millis pause);

  // write.cpp
  Task<void> write_batch();
  Task<std::vector<LaneAnswer>> write_until_done(const std::vector<LaneOp>& ops);
  Task<void> heartbeat_alone();
  void heard(std::span<const pg::Result> results, Mono sent);
  Task<void> meet(std::vector<LoadedMessage>& loaded);
  Task<bool> read_subscribers();
  Task<void> notice_subscribers();

  // balance.cpp
  Task<void> balance();
  Task<void> take(int count);
  void give(int count);
  void take_back_late();
  Task<void> hand_over();

  // feed.cpp
  Task<void> feed_loop();
  Task<bool> feed_some(store::MessageFeed& feed);
  Task<void> begin_rebuild(store::MessageFeed& feed, std::uint64_t cohort);
  Cohort* cohort_of(std::uint64_t id);
  std::int64_t window_limit(const Cohort& cohort) const;
  void apply_window(const Cohort& read, store::FeedWindow window);
  void merge_cohorts();
  void drop_from_cohorts(std::int16_t shard);

  // health.cpp
  Task<void> health_loop();
  Task<void> exchange_health();
  void observe_circuits(const LanesCounts& counts);

  // deliver.cpp
  void pump();
  void wake_writer();
  Task<void> pump_loop();
  std::optional<Start> next_start();
  Task<void> deliver_on(Start first);
  Task<void> deliver(Start start);
  // What an attempt came to; `reason` when it could not even be tried, and not for the egress
  // policy.
  struct Sent {
    AttemptResult result;
    std::string reason;
  };
  static Sent impossible(std::string reason, std::string error);
  static Sent expired(Time expires_at);
  Task<Sent> send(Start start, EventPtr event, Time sent_at);
  Verdict settle(const Start& start, const Sent& sent, Time sent_at, const EventPtr& event);

  void observe();

  store::Context& context_;
  store::Payloads payloads_;
  store::Ownership ownership_;
  store::LaneWriter writer_;
  store::SubscriberHealth health_;
  http::Client client_;
  http::Endpoints endpoints_;
  Lanes lanes_;
  std::vector<Cohort> cohorts_;
  std::uint64_t last_cohort_ = 0;
  std::int64_t window_events_ = 16;         // grows while windows bring few rows
  std::map<std::int16_t, Mono> releasing_;  // since when
  Wakeup work_;                             // for own_loop: something to write
  Mono asleep_until_ = Mono::max();         // own_loop, unless it is woken
  Wakeup ready_;                            // for pump_loop
  Mono pump_due_{};                         // asleep until then
  std::uint32_t session_number_ = 0;
  store::NodesSeen seen_;
  std::int64_t expunged_seen_ = 0;  // when payloads_ was cleared last
  Mono heartbeat_due_{}, balance_due_{}, requests_due_{}, observe_due_{}, tick_due_{};
  std::set<Uuid> pending_seen_;  // subscribers with a gauge
  std::set<Uuid> circuits_seen_;
  Wakeup health_due_;             // for health_loop
  bool unhealthy_known_ = false;  // to Lanes
  int in_flight_ = 0;
  int loops_ = 0;  // still running beside own_loop
  bool stopping_ = false, stopped_ = false;
  bool stuck_ = false;  // results cannot be written: nothing more is sent
  Mono drain_until_{};
  Mono leave_by_{};    // held up: shards that are not free to go by then are left as they are
  Mono away_until_{};  // held up: takes none before
};

}  // namespace eventhub::dispatcher
