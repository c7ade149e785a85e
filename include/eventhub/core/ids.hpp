#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eventhub/core/time.hpp"

namespace eventhub {

// RFC 9562 UUID, network byte order.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
};

// Lower-case 8-4-4-4-12.
std::string to_string(const Uuid& id);
// Accepts that form in either case; nothing else.
std::optional<Uuid> parse_uuid(std::string_view text);
// Version 7 (time-ordered); monotonic within the process even when the clock steps back.
Uuid uuid_v7(Time now);
// Version 4.
Uuid uuid_random();

// One message = one event for one subscriber.
struct MessageRef {
  std::int64_t event_seq = 0;
  std::int32_t sid = 0;  // subscribers.sid
  auto operator<=>(const MessageRef&) const = default;
};

// The message id is a reversible UUID version 8: 56 bits of event_seq, 31 of sid, 31 of a hash of
// the event's id, so GET by id needs no index and a guessed id does not match.
Uuid message_id(MessageRef ref, const Uuid& event_id);
// Undoes message_id; nullopt for a UUID of another kind. Compare message_id(ref, event.id)
// afterwards.
std::optional<MessageRef> decode_message_id(const Uuid& id);

// 64-bit FNV-1a with a finalizer. Stored in the database (shard, khash): never change it.
std::uint64_t stable_hash(std::string_view bytes);
std::uint64_t stable_hash(std::uint64_t value);

}  // namespace eventhub
