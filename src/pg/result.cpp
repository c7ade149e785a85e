// Binary decoding of result columns, checked by type, size and range; arrays are in
// result_arrays.cpp.
#include "eventhub/pg/result.hpp"

#include <libpq-fe.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "pg/cell.hpp"
#include "pg/wire.hpp"

namespace eventhub::pg {

namespace oid = wire::oid;

Cell cell(const pg_result* raw, int row, int column) {
  if (raw == nullptr || row < 0 || column < 0 || row >= PQntuples(raw) ||
      column >= PQnfields(raw)) {
    throw std::logic_error("the result has no row " + std::to_string(row) + ", column " +
                           std::to_string(column));
  }
  const bool null = PQgetisnull(raw, row, column) != 0;
  const auto size = static_cast<std::size_t>(PQgetlength(raw, row, column));
  return {PQftype(raw, column), null, {PQgetvalue(raw, row, column), size}};
}

std::string_view value_of(const pg_result* raw, int row, int column, std::uint32_t type,
                          std::size_t size) {
  const Cell found = cell(raw, row, column);
  if (found.type != type) wrong_type(raw, column, type);
  if (found.null) null_value(raw, column);
  if (size != any_size && found.bytes.size() != size) {
    throw std::logic_error("a value of type " + std::to_string(type) + " has a wrong size");
  }
  return found.bytes;
}

void wrong_type(const pg_result* raw, int column, std::uint32_t wanted) {
  throw std::logic_error("column " + std::string(PQfname(raw, column)) + " has type " +
                         std::to_string(PQftype(raw, column)) + ", read as type " +
                         std::to_string(wanted));
}

void null_value(const pg_result* raw, int column) {
  throw std::logic_error("column " + std::string(PQfname(raw, column)) + " is NULL");
}

Result::Result(pg_result* raw) : raw_(raw, PQclear) {}

int Result::rows() const {
  return raw_ ? PQntuples(raw_.get()) : 0;
}

std::int64_t Result::affected() const {
  std::int64_t count = 0;
  if (!raw_) return count;
  const char* text = PQcmdTuples(raw_.get());
  std::from_chars(text, text + std::strlen(text), count);
  return count;
}

bool Result::is_null(int row, int column) const {
  return cell(raw_.get(), row, column).null;
}

std::int16_t Result::i16(int row, int column) const {
  return wire::read<std::int16_t>(value_of(raw_.get(), row, column, oid::int2, 2).data());
}

std::int32_t Result::i32(int row, int column) const {
  return wire::read<std::int32_t>(value_of(raw_.get(), row, column, oid::int4, 4).data());
}

std::int64_t Result::i64(int row, int column) const {
  return wire::read<std::int64_t>(value_of(raw_.get(), row, column, oid::int8, 8).data());
}

double Result::f64(int row, int column) const {
  const auto bytes = value_of(raw_.get(), row, column, oid::float8, 8);
  return std::bit_cast<double>(wire::read<std::uint64_t>(bytes.data()));
}

bool Result::boolean(int row, int column) const {
  return value_of(raw_.get(), row, column, oid::boolean, 1)[0] != '\0';
}

std::string_view Result::text(int row, int column) const {
  const Cell found = cell(raw_.get(), row, column);
  switch (found.type) {
    case oid::text:
    case oid::varchar:
    case oid::bpchar:
    case oid::name:
    case oid::json:
    case oid::bytea:
    case oid::unknown:
      break;
    default:
      wrong_type(raw_.get(), column, oid::text);
  }
  if (found.null) null_value(raw_.get(), column);
  return found.bytes;
}

std::string_view Result::jsonb(int row, int column) const {
  const auto bytes = value_of(raw_.get(), row, column, oid::jsonb, any_size);
  if (bytes.empty() || bytes[0] != '\1') throw std::logic_error("jsonb of an unknown version");
  return bytes.substr(1);
}

Uuid Result::uuid(int row, int column) const {
  const auto bytes = value_of(raw_.get(), row, column, oid::uuid, 16);
  Uuid id;
  std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
  return id;
}

Time Result::timestamp(int row, int column) const {
  const auto bytes = value_of(raw_.get(), row, column, oid::timestamptz, 8);
  return wire::to_time(wire::read<std::int64_t>(bytes.data()));
}

std::optional<std::string> Result::optional_text(int row, int column) const {
  if (is_null(row, column)) return std::nullopt;
  return std::string(text(row, column));
}

std::optional<std::int64_t> Result::optional_i64(int row, int column) const {
  if (is_null(row, column)) return std::nullopt;
  return i64(row, column);
}

std::optional<Time> Result::optional_timestamp(int row, int column) const {
  if (is_null(row, column)) return std::nullopt;
  return timestamp(row, column);
}

}  // namespace eventhub::pg
