// Binary encoding of single parameters; arrays are in params_arrays.cpp, pipeline.cpp sends them.
#include <bit>

#include "eventhub/pg/statement.hpp"
#include "pg/wire.hpp"

namespace eventhub::pg {
namespace {

namespace oid = wire::oid;

template <class T>
std::string integer(const std::optional<T>& value) {
  std::string bytes;
  if (value) wire::append(bytes, *value);
  return bytes;
}

std::string copy(const std::optional<std::string_view>& value) {
  return value ? std::string(*value) : std::string();
}

}  // namespace

Params& Params::i16(std::optional<std::int16_t> value) {
  values_.push_back({oid::int2, !value, integer(value)});
  return *this;
}

Params& Params::i32(std::optional<std::int32_t> value) {
  values_.push_back({oid::int4, !value, integer(value)});
  return *this;
}

Params& Params::i64(std::optional<std::int64_t> value) {
  values_.push_back({oid::int8, !value, integer(value)});
  return *this;
}

Params& Params::f64(std::optional<double> value) {
  std::string bytes;
  if (value) wire::append(bytes, std::bit_cast<std::uint64_t>(*value));
  values_.push_back({oid::float8, !value, std::move(bytes)});
  return *this;
}

Params& Params::boolean(bool value) {
  values_.push_back({oid::boolean, false, std::string(1, value ? '\1' : '\0')});
  return *this;
}

Params& Params::text(std::optional<std::string_view> value) {
  values_.push_back({oid::text, !value, copy(value)});
  return *this;
}

Params& Params::bytea(std::optional<std::string_view> value) {
  values_.push_back({oid::bytea, !value, copy(value)});
  return *this;
}

Params& Params::uuid(const std::optional<Uuid>& value) {
  std::string bytes;
  if (value) bytes.assign(value->bytes.begin(), value->bytes.end());
  values_.push_back({oid::uuid, !value, std::move(bytes)});
  return *this;
}

Params& Params::timestamp(std::optional<Time> value) {
  std::string bytes;
  if (value) wire::append(bytes, wire::from_time(*value));
  values_.push_back({oid::timestamptz, !value, std::move(bytes)});
  return *this;
}

std::size_t Params::bytes() const {
  std::size_t sum = 0;
  for (const Value& value : values_) sum += value.bytes.size();
  return sum;
}

}  // namespace eventhub::pg
