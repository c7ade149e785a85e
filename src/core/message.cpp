// Names of outcomes and reasons, and where a message's shard is decided.
#include "eventhub/core/message.hpp"

namespace eventhub {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::delivered:
      return "delivered";
    case Outcome::retry:
      return "retry";
    case Outcome::dead:
      return "dead";
    case Outcome::started:
      return "started";
    case Outcome::unknown:
      return "unknown";
    case Outcome::expired:
      return "expired";
    case Outcome::cancelled:
      return "cancelled";
    case Outcome::refused:
      return "refused";
  }
  return "?";
}

std::string_view to_string(WaitReason reason) {
  switch (reason) {
    case WaitReason::none:
      return "none";
    case WaitReason::order:
      return "order";
    case WaitReason::retry:
      return "retry";
    case WaitReason::paused:
      return "paused";
    case WaitReason::inactive:
      return "inactive";
    case WaitReason::circuit:
      return "circuit";
    case WaitReason::rate:
      return "rate";
    case WaitReason::in_flight_cap:
      return "in_flight_cap";
    case WaitReason::takeover:
      return "takeover";
    case WaitReason::memory:
      return "memory";
    case WaitReason::scheduled:
      return "scheduled";
  }
  return "?";
}

std::int16_t shard_of(std::int32_t sid, std::uint64_t key_or_seq_hash, int spread) {
  const std::uint64_t base = stable_hash(static_cast<std::uint64_t>(sid));
  const std::uint64_t turn = key_or_seq_hash % static_cast<std::uint64_t>(spread);
  return static_cast<std::int16_t>((base + turn) % kShards);
}

}  // namespace eventhub
