#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>

#include "eventhub/core/time.hpp"

// PostgreSQL's binary format: type numbers, big-endian integers, times.
namespace eventhub::pg::wire {

namespace oid {
inline constexpr std::uint32_t boolean = 16, bytea = 17, name = 19, int8 = 20, int2 = 21, int4 = 23,
                               text = 25, json = 114, float8 = 701, unknown = 705, bpchar = 1042,
                               varchar = 1043, timestamptz = 1184, uuid = 2950, jsonb = 3802;
inline constexpr std::uint32_t booleans = 1000, int2s = 1005, int4s = 1007, texts = 1009,
                               varchars = 1015, int8s = 1016, float8s = 1022, timestamptzs = 1185,
                               uuids = 2951;
}  // namespace oid

template <std::unsigned_integral T>
constexpr T swapped(T value) {
  T out = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out = static_cast<T>(out |
                         static_cast<T>(((value >> (8 * i)) & 0xff) << (8 * (sizeof(T) - 1 - i))));
  }
  return out;
}

template <std::unsigned_integral T>
constexpr T big_endian(T value) {
  if constexpr (std::endian::native == std::endian::little) {
    return swapped(value);
  } else {
    return value;
  }
}

template <std::integral T>
void append(std::string& out, T value) {
  const auto raw = big_endian(static_cast<std::make_unsigned_t<T>>(value));
  char bytes[sizeof(T)];
  std::memcpy(bytes, &raw, sizeof(T));
  out.append(bytes, sizeof(T));
}

template <std::integral T>
T read(const char* from) {
  std::make_unsigned_t<T> raw;
  std::memcpy(&raw, from, sizeof(T));
  return static_cast<T>(big_endian(raw));
}

// Microseconds since 2000-01-01; the ends of the range are infinity and -infinity.
std::int64_t from_time(Time time);
Time to_time(std::int64_t microseconds);

}  // namespace eventhub::pg::wire
