// Binary encoding of one-dimensional arrays; statements take them apart with unnest.
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "eventhub/pg/statement.hpp"
#include "pg/wire.hpp"

namespace eventhub::pg {
namespace {

namespace oid = wire::oid;
template <class T>
using Opt = std::optional<T>;

void put(std::string& out, std::integral auto value) {
  wire::append(out, static_cast<std::int32_t>(sizeof(value)));
  wire::append(out, value);
}

void put(std::string& out, Time value) {
  put(out, wire::from_time(value));
}

void put(std::string& out, const Uuid& value) {
  wire::append(out, static_cast<std::int32_t>(value.bytes.size()));
  out.append(value.bytes.begin(), value.bytes.end());
}

void put(std::string& out, std::string_view value) {
  if (value.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw std::length_error("an array element is larger than PostgreSQL takes");
  }
  wire::append(out, static_cast<std::int32_t>(value.size()));
  out.append(value);
}

template <class T>
void put(std::string& out, const Opt<T>& value) {
  if (value) {
    put(out, *value);
  } else {
    wire::append(out, std::int32_t{-1});
  }
}

template <class T>
bool is_null(const Opt<T>& value) {
  return !value;
}
template <class T>
bool is_null(const T&) {
  return false;
}

// What an array of these will need, so that the buffer is allocated once.
std::size_t size_of(std::span<const std::string_view> values) {
  std::size_t sum = 0;
  for (std::string_view value : values) sum += value.size() + 4;
  return sum;
}
std::size_t size_of(std::span<const Opt<std::string_view>> values) {
  std::size_t sum = 0;
  for (const auto& value : values) sum += (value ? value->size() : 0) + 4;
  return sum;
}
template <class T>
std::size_t size_of(std::span<const T> values) {
  return values.size() * (sizeof(T) + 4);
}

void put_header(std::string& out, std::size_t count, bool nulls, std::uint32_t element) {
  if (count > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw std::length_error("an array has more elements than PostgreSQL takes");
  }
  wire::append(out, std::int32_t{count > 0 ? 1 : 0});  // an empty array has no dimension
  wire::append(out, std::int32_t{nulls ? 1 : 0});
  wire::append(out, element);
  if (count == 0) return;
  wire::append(out, static_cast<std::int32_t>(count));
  wire::append(out, std::int32_t{1});  // lower bound
}

template <class T>
Params::Value array(std::uint32_t type, std::uint32_t element, std::span<const T> values) {
  const bool nulls =
      std::any_of(values.begin(), values.end(), [](const T& v) { return is_null(v); });
  std::string out;
  out.reserve(20 + size_of(values));
  put_header(out, values.size(), nulls, element);
  for (const T& value : values) put(out, value);
  return {type, false, std::move(out)};
}

}  // namespace

Params& Params::i16s(std::span<const Opt<std::int16_t>> values) {
  values_.push_back(array(oid::int2s, oid::int2, values));
  return *this;
}
Params& Params::i16s(std::span<const std::int16_t> values) {
  values_.push_back(array(oid::int2s, oid::int2, values));
  return *this;
}
Params& Params::i32s(std::span<const Opt<std::int32_t>> values) {
  values_.push_back(array(oid::int4s, oid::int4, values));
  return *this;
}
Params& Params::i32s(std::span<const std::int32_t> values) {
  values_.push_back(array(oid::int4s, oid::int4, values));
  return *this;
}
Params& Params::i64s(std::span<const Opt<std::int64_t>> values) {
  values_.push_back(array(oid::int8s, oid::int8, values));
  return *this;
}
Params& Params::i64s(std::span<const std::int64_t> values) {
  values_.push_back(array(oid::int8s, oid::int8, values));
  return *this;
}
Params& Params::texts(std::span<const Opt<std::string_view>> values) {
  values_.push_back(array(oid::texts, oid::text, values));
  return *this;
}
Params& Params::texts(std::span<const std::string_view> values) {
  values_.push_back(array(oid::texts, oid::text, values));
  return *this;
}
Params& Params::uuids(std::span<const Opt<Uuid>> values) {
  values_.push_back(array(oid::uuids, oid::uuid, values));
  return *this;
}
Params& Params::uuids(std::span<const Uuid> values) {
  values_.push_back(array(oid::uuids, oid::uuid, values));
  return *this;
}
Params& Params::timestamps(std::span<const Opt<Time>> values) {
  values_.push_back(array(oid::timestamptzs, oid::timestamptz, values));
  return *this;
}

Params& Params::booleans(const std::vector<bool>& values) {
  std::string out;
  out.reserve(20 + values.size() * 5);
  put_header(out, values.size(), false, oid::boolean);
  for (const bool value : values) put(out, static_cast<std::uint8_t>(value ? 1 : 0));
  values_.push_back({oid::booleans, false, std::move(out)});
  return *this;
}

}  // namespace eventhub::pg
