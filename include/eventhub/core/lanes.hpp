#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/core/health.hpp"
#include "eventhub/core/lane_ops.hpp"
#include "eventhub/core/subscriber.hpp"

// Who may go now. A state machine without I/O that decides for the shards of one process which
// message is sent next, what waits and why, what is written and in which order. RAM is a cache of
// the database:
//   open messages = { event_seq > lwm of their shard, no final attempt } + parked + redeliveries.
// The rules it keeps are numbered in docs/architecture.md ("Parking");
// test/unit/core/lanes_model_test.cpp drives it against a model of the database with random
// interleavings and crashes.
namespace eventhub {

struct LanesConfig {
  int queue_rows_max =
      200'000;          // records in memory: the feed stops here; at 3/4 the longest waiting spill
  int load_rows = 256;  // rows fetched from `parked` for one lane at a time
  int lane_rows_spill = 1'000;  // a keyed lane longer than this may be spilled alone
  int in_flight_max = 1'024;    // requests in the air, over all subscribers
  int dlq_copy_max = 100'000;   // expired messages of a subscriber with a dead letter of their own
  Millis park_after{60'000};
  Millis lwm_interval{2'000};
  Millis result_linger{0};       // see write_due()
  Millis takeover_extra{4'000};  // send_lease + margin
  Millis default_timeout{10'000};
  Millis circuit_hold_max{3'600'000};
};

// A message as the feed read it; attempts and the rest only in a rebuild.
struct FedMessage {
  Message message;
  std::int16_t attempt = 0;  // attempts recorded so far
  bool started = false;      // the last of them has no result
  std::optional<Time> due_at;
};

// How a shard was got.
struct Takeover {
  std::int16_t shard = 0;
  std::int64_t lwm = 0;
  bool wait =
      false;  // unclean, from another process: keyed messages wait out what may be in the air
  bool careful = false;  // crash loop: one send at a time, `started` committed before each
  // Subscribers with rows of `parked` in it, and how many (counted up to a bound).
  std::map<std::int32_t, std::int64_t> parked;
  std::vector<LoadedMessage> blocking;  // dead letters that block their key (on_dead = block)
};

// Permission to send one message now.
struct Start {
  MessageRef ref;
  LaneId lane;
  std::int16_t attempt = 0;  // number of this attempt, from 1
  bool redelivery = false;
  std::uint32_t epoch = 0;  // of the ownership; hand it back with the result
  SubscriberPtr subscriber;
};

// What came of it.
struct Ended {
  Outcome outcome = Outcome::delivered;
  Millis wait{0};  // Outcome::retry
  std::int16_t http_status = 0;
  Millis duration{0};
  Time attempted_at;
  std::string error, response, reason;
  Sign sign = Sign::none;
};

struct LanesCounts {
  std::size_t records = 0;
  std::size_t in_flight = 0;
  std::size_t blocked_keys = 0;
  std::vector<std::pair<WaitReason, std::size_t>> waiting;
  std::vector<std::pair<Uuid, std::size_t>> pending;  // per subscriber, parked ones included
  std::vector<std::pair<Uuid, Circuit>> circuits;     // those that are not closed
  std::optional<Millis> oldest_age;  // since the oldest open message in memory was read
};

class Lanes {
 public:
  Lanes(const LanesConfig& config, const Clock& clock);
  ~Lanes();

  // ── ownership ──
  // Forget everything but what is in the air: after a lost session.
  void reset();
  void acquire(const Takeover& takeover);
  // Stop starting what is in the shard; drained() tells when nothing of it is in the air, from a
  // former ownership either, or uncommitted. end_release() takes it back. release() forgets the
  // shard and what is still queued for it (parks, low waters): its next owner finds that open.
  void begin_release(std::int16_t shard);
  void end_release(std::int16_t shard);
  bool drained(std::int16_t shard) const;
  std::size_t in_flight(std::int16_t shard) const;
  void release(std::int16_t shard);
  bool owns(std::int16_t shard) const;

  void set_subscribers(SubscriberSetPtr subscribers);

  // ── feed ──
  bool wants_feed() const;
  // Applies a window: every open message of `shards` up to `window_end`, ascending.
  void feed(const std::vector<FedMessage>& messages, const std::vector<std::int16_t>& shards,
            std::int64_t window_end);

  // ── send ──
  // The next message to send, or nullopt. Fair over subscribers, within their caps.
  std::optional<Start> next();
  void ended(const Start& start, Ended ended);
  // The attempt was not made (the lease to send ran out): the message is as before.
  void not_sent(const Start& start);
  // Whether the permission is of the present ownership; after a lost session it is void.
  bool current(const Start& start) const;
  // From now on next() only gives what is already marked `started` in the database.
  void begin_drain();
  // Nothing is in the air or about to be.
  bool idle() const;

  // ── write ──
  // Takes up to `rows` queued operations, in order.
  std::vector<LaneOp> take_ops(std::size_t rows);
  bool has_ops() const;
  // When what is queued should be taken. At once, but for results that nothing here waits for
  // (delivered, at least once, nothing behind it in its key, not parked): they may linger, so that
  // several share a commit. Mono::max() when nothing is queued.
  Mono write_due() const;
  void committed(const LaneOp& op, const LaneAnswer& answer);

  // ── time ──
  // Moves low waters, parks what waits long, spills, drains; call every 100..1000 ms.
  void tick();
  // When next() could have more without any call; at most one second ahead.
  Mono next_due() const;
  void poll_requests();  // redeliveries and discards
  void expire_below(std::int64_t event_seq);

  // ── health of receivers (core/health.hpp) ──
  // What to tell the table subscriber_health now.
  std::vector<HealthReport> health_reports();
  // There is something that should not wait.
  bool health_urgent() const;
  // The whole table, read after those reports were written.
  void set_health(const std::vector<HealthSeen>& rows);

  LanesCounts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eventhub
