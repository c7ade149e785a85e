#pragma once
#include <array>
#include <deque>
#include <map>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "eventhub/core/lanes.hpp"
#include "eventhub/core/rate_limit.hpp"

// The data of Lanes and its moves, shared by lanes*.cpp: Shard > Share (a subscriber within a
// shard) > Lane (one key, or the unordered ones) > Record (one message).
namespace eventhub {

inline constexpr std::int16_t kSubscriberTimer = -1;  // in place of a lane's shard

struct Lane;
struct Share;

struct MessageRefHash {
  std::size_t operator()(const MessageRef& ref) const {
    return stable_hash(static_cast<std::uint64_t>(ref.event_seq) * 31 +
                       static_cast<std::uint64_t>(ref.sid));
  }
};

struct Record {
  enum class State : std::uint8_t { waiting, starting, in_air, recording };
  MessageRef ref;
  Lane* lane = nullptr;
  Record* next = nullptr;    // in the lane's list, ascending event_seq
  Mono due{};                // not before
  std::uint64_t window = 0;  // of the shard, which counts it; 0 = not counted
  std::int16_t attempt = 0;  // attempts ended
  State state = State::waiting;
  bool listed = false;   // in the lane's list
  bool parked = false;   // a row of `parked` exists or is queued
  bool final_ = false;   // its final attempt is queued
  bool started = false;  // `started` is committed for the coming attempt
  bool redelivery = false;
  bool careful = false;  // sent alone, after a crash loop
};

struct RecordList {
  Record* head = nullptr;
  Record* tail = nullptr;
  std::size_t size = 0;
  void push_back(Record& record);
  void insert_ordered(Record& record);  // by event_seq
  void remove(Record& record);
};

struct Lane {
  // Where the messages of the lane are:
  enum class Source : std::uint8_t {
    memory,   // all open ones are records here
    unknown,  // `parked` may hold older ones: probe before the first start
    parked,   // all are in `parked`, a prefix of them here; new ones go there too
  };
  Share* share = nullptr;
  std::optional<std::int64_t> khash;
  RecordList messages;
  RecordList redeliveries;
  std::size_t busy = 0;  // in the air or being recorded
  bool lingers = false;  // the latest result; of a keyed lane: while nothing follows it
  Source source = Source::memory;
  bool ready = false;            // in its subscriber's queue
  std::size_t asked = 0;         // rows of `parked` on their way here; 0 = no load
  bool rest = false;             // unordered lane: `parked` may hold some that are not here
  Mono rest_due{};               // when the first of those is due
  std::uint32_t generation = 0;  // of evictions; an older load is thrown away
  std::uint32_t parks = 0;       // rows parked so far
  bool keyed() const { return khash.has_value(); }
  LaneId id() const;
};

// Order by identity, not by address: a run with one seed is the same everywhere.
struct ById {
  bool operator()(const Lane* a, const Lane* b) const { return a->id() < b->id(); }
  bool operator()(const Share* a, const Share* b) const;
};

struct SubscriberState {
  std::int32_t sid = 0;
  SubscriberPtr row;  // nullptr: deleted
  int in_flight = 0;
  int cap = 1;              // this process's part of max_in_flight
  int expired = 0;          // so far, by this owner
  std::size_t records = 0;  // in memory
  std::size_t counted = 0;  // for counts(): not ended, here or in `parked`
  std::size_t asked = 0;    // of all lanes
  bool listed = false;
  std::deque<Lane*> ready;
  std::set<Share*, ById> shares;
  bool squeezed = false;  // waits for a slot that is free for everybody
  bool resting = false;   // waits for its time; a timer is set
  RateLimit rate;         // this process's part of rate_limit; burst 0: none
  RateBucket bucket;
  Health health;
  Mono step_due{};  // when the slow start lets more go; a timer is set
  bool held() const { return row && (row->paused || !row->active); }
};

struct Share {
  std::int16_t shard = 0;
  SubscriberState* subscriber = nullptr;
  Lane unordered;
  std::unordered_map<std::int64_t, Lane> keyed;
  std::size_t records = 0;
  std::int64_t parked = 0;         // rows of `parked`, about
  std::size_t counted_parked = 0;  // for counts(): of them, those with a record here
  bool spilled = false;            // every new message is parked at once
  bool known = true;               // keys without a lane have nothing parked
  bool scanning = false;
  std::optional<std::int64_t> scan_after;
  std::size_t scan_found = 0;
  std::uint64_t parks = 0;  // rows parked for keys without a lane
  std::uint64_t scan_parks = 0;
  std::size_t draining = 0;  // lanes whose source is `parked`
};

// Messages read within about a second: counted until they are final or parked.
struct Window {
  std::int64_t end = 0;
  std::size_t open = 0;
  Mono fed_at;
};

struct ShardState {
  std::int16_t number = 0;
  bool releasing = false, wait = false, careful = false;
  Mono acquired;
  std::int64_t lwm = 0;
  Mono lwm_moved;
  std::deque<Window> windows;
  std::uint64_t first_window = 1;
  int in_flight = 0;
  std::size_t recording = 0;
  std::unordered_map<std::int32_t, Share> shares;
};

struct Lanes::Impl {
  struct Timer {
    Mono due;
    LaneId lane;
    MessageRef ref;  // an unordered message's retry; event_seq 0: the lane, of shard -1: the
                     // subscriber
    bool operator>(const Timer& other) const { return due > other.due; }
  };
  using GhostKey = std::pair<std::int32_t, std::int64_t>;

  Impl(const LanesConfig& settings, const Clock& time) : config(settings), clock(time) {}

  // lanes_own.cpp: ownership
  void forget_shard(ShardState& shard);
  void update_caps();
  Millis longest_wait() const;
  void update_cap(SubscriberState& state);

  // lanes.cpp: look-ups and feed
  SubscriberState& subscriber(std::int32_t sid);
  Share& share_of(std::int16_t shard, std::int32_t sid);
  Lane* find_lane(const LaneId& id);
  Lane& make_lane(const LaneId& id);
  void feed_one(const FedMessage& fed, ShardState& shard);
  Record& add_record(const MessageRef& ref, Lane& lane, bool redelivery);
  Record* find(const MessageRef& ref);
  void erase(Record& record);
  void consider_shard(ShardState& shard);
  void uncount(Record& record);
  void erase_if_idle(Lane& lane);
  Time wall(Mono due) const;
  Mono mono(Time due) const;

  // lanes_start.cpp: who may go
  WaitReason reason(const Lane& lane, const Record& record, Mono now, Mono* until) const;
  Record* candidate(const Lane& lane) const;
  void consider(Lane& lane);
  void consider_all(SubscriberState& subscriber);
  void list(SubscriberState& subscriber);
  bool at_cap(const SubscriberState& subscriber) const;
  bool rests(SubscriberState& subscriber, Mono now);

  // lanes_health.cpp: circuits and slow starts
  void wake(std::int32_t sid);
  void step(SubscriberState& subscriber);
  void renewed(SubscriberState& subscriber, const Subscriber& before);
  void attempted(SubscriberState& subscriber, Sign sign);
  void slot_freed();
  std::optional<Start> start(Record& record);
  void schedule(Mono due, const Lane& lane, MessageRef ref);
  void run_timers(Mono now);
  bool ghost(const Lane& lane, const MessageRef& ref) const;
  void free_ghost(const Start& start);

  // lanes_commit.cpp: what the writer did
  void attempt_committed(const RecordAttempt& op);
  void lane_loaded(const LoadLane& op, const LaneAnswer& answer);
  void keys_loaded(const LoadKeys& op, const LaneAnswer& answer);
  void redeliveries_loaded(const LoadRedeliveries& op, const LaneAnswer& answer);
  void discards_taken(const LaneAnswer& answer);
  void expired_loaded(const LoadExpired& op, const LaneAnswer& answer);
  void load_record(const LoadedMessage& row, Lane& lane);
  // Ends a message without sending it.
  void finish(Record& record, Outcome outcome, std::string reason, std::string error);
  bool finish_if_spent(Record& record);
  void cancel_waiting(Lane& lane);
  void cancel_between_retries(SubscriberState& state);

  // lanes_counts.cpp
  using WaitingCounts = std::array<std::size_t, kWaitReasons>;
  void count_parked(WaitingCounts& waiting);
  std::size_t count_records(WaitingCounts& waiting);

  // lanes_park.cpp: parking
  void park(Record& record, WaitReason why);
  void park_directly(const FedMessage& fed, Share& share, Lane* lane);
  void evict(Lane& lane, WaitReason why, MessageRef keep);
  void spill_share(Share& share, WaitReason why);
  void move_low_waters(Mono now);
  void park_old(Mono now);
  void park_between_retries(const std::unordered_map<std::int16_t, std::uint64_t>& old);
  void park_lane_up_to(Lane& lane, std::uint64_t window, Mono now);
  void relieve_memory();
  std::size_t waiting_records(Share& share, Mono now, bool at_cap, Lane** longest);
  bool relieve_once(Mono now, bool at_cap);
  void left_air(Record& record);
  bool refill(Lane& lane);
  std::size_t room(const Lane& lane) const;
  std::size_t rows_at_once(const Lane& lane) const;
  void count_asked(Lane& lane, std::size_t rows);
  void drain();
  void scan(Share& share);
  void set_source(Lane& lane, Lane::Source source);

  LanesConfig config;
  const Clock& clock;
  std::uint32_t epoch = 1;
  bool draining = false;
  SubscriberSetPtr subscribers = std::make_shared<SubscriberSet>();
  std::map<std::int16_t, ShardState> shards;
  std::unordered_map<std::int32_t, SubscriberState> subscriber_states;
  std::unordered_map<MessageRef, Record, MessageRefHash> records;
  std::deque<SubscriberState*> round;     // subscribers with ready lanes
  std::deque<SubscriberState*> squeezed;  // also there, or would be but for the slots of all
  std::deque<Start> cleared;              // `started` committed, may be sent
  std::deque<LaneOp> ops;
  std::size_t patient = 0;  // of them, results that may linger
  Mono patient_since{};
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers;
  std::map<LaneId, std::set<MessageRef>> blocked;  // by dead letters, on_dead = block
  std::set<Lane*, ById> drains;                    // lanes with more in `parked`
  std::set<Share*, ById> scans;                    // shares whose keys are not known
  // In the air from a former ownership: by key, by unordered message, by shard, by subscriber.
  std::map<GhostKey, int> ghost_keys;
  std::set<MessageRef> ghost_refs;
  std::map<std::int16_t, int> ghosts_in;
  std::map<std::int32_t, int> ghosts_of;
  std::map<std::int16_t, Mono> wait_over;  // end of the last take-over wait; outlives reset()
  std::size_t in_flight = 0;
  std::size_t careful_in_flight = 0;
  std::size_t redelivery_records = 0;
  Mono parked_old_at{};
  std::size_t asked = 0;                                // rows of `parked` on their way
  std::unordered_map<std::int32_t, HealthSeen> health;  // the table, as it was read
  bool health_urgent = false;
  MessageRef redelivery_after{};  // where the next read of `redeliveries` begins
  std::optional<std::int64_t> expire;
  bool expiring = false, polling = false, discarding = false;
};

}  // namespace eventhub
