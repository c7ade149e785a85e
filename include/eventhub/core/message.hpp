#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "eventhub/core/ids.hpp"

namespace eventhub {

inline constexpr int kShards = 64;

// What an attempt (a row of delivery_attempts) says. The numbers are stored; the words are the same
// in SQL (outcome_name), API, metrics and logs. All but retry and started are final.
enum class Outcome : std::int16_t {
  delivered = 1,
  retry = 2,
  dead = 3,
  started = 4,
  unknown = 5,
  expired = 6,
  cancelled = 7,
  refused = 8,
};
std::string_view to_string(Outcome outcome);
constexpr bool is_final(Outcome outcome) {
  return outcome != Outcome::retry && outcome != Outcome::started;
}
// Finals that also make a row in dead_letter_queue.
constexpr bool is_dead_letter(Outcome outcome) {
  return is_final(outcome) && outcome != Outcome::delivered && outcome != Outcome::cancelled;
}

// Why a message waits: one enumerator everywhere (SQL parked.reason, API, metrics, dashboard).
enum class WaitReason : std::int16_t {
  none = 0,
  order = 1,
  retry = 2,
  paused = 3,
  inactive = 4,
  circuit = 5,
  rate = 6,
  in_flight_cap = 7,
  takeover = 8,
  memory = 9,
  scheduled = 10,
};
inline constexpr std::size_t kWaitReasons = 11;
std::string_view to_string(WaitReason reason);

// A row of `messages`: immutable, written by the fan-out.
struct Message {
  MessageRef ref;
  std::int16_t shard = 0;
  std::optional<std::int64_t> khash;  // hash of the ordering key; nullopt = unordered
};

// shard = (hash(sid) + hash(key or event_seq) % spread) % kShards. Fixed when the message is made.
// `spread` is the number of shards that a subscriber's messages are spread over: at most 16 and at
// most its max_in_flight. It stays as it is while the subscriber is ordered (migrations/0003), so
// that all messages of a key are in one shard.
constexpr int kSpreadMax = 16;
std::int16_t shard_of(std::int32_t sid, std::uint64_t key_or_seq_hash, int spread);

}  // namespace eventhub
