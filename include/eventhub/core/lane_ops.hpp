#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "eventhub/core/message.hpp"

// What Lanes asks of the ordered writer. The writer carries the operations out in the order they
// were queued, in transactions on the session that holds the shard locks, and hands each back with
// its answer.
namespace eventhub {

// All messages of one ordering key of one subscriber, or all its unordered ones, within a shard.
struct LaneId {
  std::int16_t shard = 0;
  std::int32_t sid = 0;
  std::optional<std::int64_t> khash;  // nullopt: the unordered messages
  auto operator<=>(const LaneId&) const = default;
};

// An attempt to record. In the same transaction a final one removes the message's row of `parked`
// or `redeliveries`, a dead one writes the dead letter, a retry updates the parked row.
struct RecordAttempt {
  MessageRef ref;
  LaneId lane;
  std::int16_t attempt = 0;
  Outcome outcome = Outcome::delivered;
  std::int16_t http_status = 0;  // 0: none
  Millis duration{0};
  Time attempted_at;
  std::optional<Time> next_attempt_at;
  std::string error;
  std::string response;
  std::string reason;       // of the dead letter
  bool parked = false;      // a row of `parked` exists or is queued before this
  bool summarise = false;   // expired beyond dlq_copy_max: counted in one dead letter
  bool redelivery = false;  // a person's retry: redelivery_attempts and redeliveries
};

struct ParkMessage {
  MessageRef ref;
  LaneId lane;
  std::int16_t attempt = 0;
  bool started = false;
  Time due_at;
  WaitReason reason = WaitReason::none;
};

struct MoveLowWater {
  std::int16_t shard = 0;
  std::int64_t lwm = 0;
};

// Reads the first `limit` parked messages of a lane: by event_seq when keyed, else by due time.
struct LoadLane {
  LaneId lane;
  int limit = 0;
  std::uint32_t generation = 0;
  std::uint32_t parks = 0;
};

// Reads up to `limit` ordering keys of a subscriber with parked messages in a shard, after `after`.
struct LoadKeys {
  std::int16_t shard = 0;
  std::int32_t sid = 0;
  std::optional<std::int64_t> after;
  int limit = 0;
};

// Reads up to `limit` redeliveries of the owned shards after `after`.
struct LoadRedeliveries {
  MessageRef after;
  int limit = 0;
};

// Takes the discard requests of all owned shards and removes their dead letters.
struct LoadDiscards {};

// Reads up to `limit` parked messages of the owned shards below `event_seq`.
struct LoadExpired {
  std::int64_t below = 0;
  int limit = 0;
};

using LaneOp = std::variant<RecordAttempt, ParkMessage, MoveLowWater, LoadLane, LoadKeys,
                            LoadRedeliveries, LoadDiscards, LoadExpired>;

// A row read by one of the loads.
struct LoadedMessage {
  MessageRef ref;
  LaneId lane;
  std::int16_t attempt = 0;
  bool started = false;
  Time due_at;
  // Of a replay with a key: the event_seq before it in the key's part of it. It waits until that
  // one was taken.
  std::optional<std::int64_t> follows{};
};

struct LaneAnswer {
  std::vector<LoadedMessage> messages;
  std::vector<std::int64_t> keys;
};

}  // namespace eventhub
