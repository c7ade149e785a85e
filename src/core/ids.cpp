// UUIDs, message ids and the hashes that are stored. Pure but for the random source.
#include "eventhub/core/ids.hpp"

#include <random>

namespace eventhub {
namespace {

std::mt19937_64& random_engine() {
  static std::mt19937_64 engine = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(),
                       device(), device(), device(), device()};
    return std::mt19937_64{seed};
  }();
  return engine;
}

void put(Uuid& id, std::size_t from, std::size_t count, std::uint64_t value) {
  for (std::size_t i = 0; i < count; ++i) {
    id.bytes[from + count - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

std::uint64_t take(const Uuid& id, std::size_t from, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | id.bytes[from + i];
  return value;
}

void set_version(Uuid& id, int version) {
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0F) | version << 4);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3F) | 0x80);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr bool dash_before(std::size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

}  // namespace

std::string to_string(const Uuid& id) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text(36, '-');
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (dash_before(i)) ++at;
    text[at++] = digits[id.bytes[i] >> 4];
    text[at++] = digits[id.bytes[i] & 0x0F];
  }
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (dash_before(i) && text[at++] != '-') return std::nullopt;
    const int high = hex_digit(text[at++]);
    const int low = hex_digit(text[at++]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return id;
}

// RFC 9562 6.2 method 3: 48 bits of milliseconds, then 12 bits of the sub-millisecond part; a clock
// that stands still or steps back continues from the last value.
Uuid uuid_v7(Time now) {
  static std::uint64_t last = 0;
  const auto micros = static_cast<std::uint64_t>(now.time_since_epoch().count());
  std::uint64_t stamp = (micros / 1000) << 12 | (micros % 1000) * 4096 / 1000;
  if (stamp <= last) stamp = last + 1;
  last = stamp;
  Uuid id;
  put(id, 0, 6, stamp >> 12);
  put(id, 6, 2, stamp & 0x0FFF);
  put(id, 8, 8, random_engine()());
  set_version(id, 7);
  return id;
}

Uuid uuid_random() {
  Uuid id;
  put(id, 0, 8, random_engine()());
  put(id, 8, 8, random_engine()());
  set_version(id, 4);
  return id;
}

// Bytes 0-5: event_seq bits 55..8. Bytes 6-7: version, 4 zero bits, event_seq bits 7..0. Bytes
// 8-15: variant (2 bits), sid (31 bits), hash (31 bits).
Uuid message_id(MessageRef ref, const Uuid& event_id) {
  const auto seq = static_cast<std::uint64_t>(ref.event_seq);
  const std::string_view bytes{reinterpret_cast<const char*>(event_id.bytes.data()), 16};
  Uuid id;
  put(id, 0, 6, seq >> 8);
  put(id, 6, 2, seq & 0xFF);
  const auto sid = static_cast<std::uint64_t>(static_cast<std::uint32_t>(ref.sid));
  put(id, 8, 8, (sid & 0x7FFFFFFF) << 31 | (stable_hash(bytes) & 0x7FFFFFFF));
  set_version(id, 8);
  return id;
}

std::optional<MessageRef> decode_message_id(const Uuid& id) {
  if (id.bytes[6] != 0x80 || (id.bytes[8] & 0xC0) != 0x80) return std::nullopt;
  const std::uint64_t seq = take(id, 0, 6) << 8 | id.bytes[7];
  const std::uint64_t tail = take(id, 8, 8) & 0x3FFFFFFFFFFFFFFF;
  return MessageRef{static_cast<std::int64_t>(seq), static_cast<std::int32_t>(tail >> 31)};
}

// The finalizer is splitmix64's: it spreads the low bits that `% shards` looks at.
std::uint64_t stable_hash(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
  value = (value ^ value >> 27) * 0x94D049BB133111EB;
  return value ^ value >> 31;
}

std::uint64_t stable_hash(std::string_view bytes) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return stable_hash(hash);
}

}  // namespace eventhub
