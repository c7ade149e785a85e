#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub::pg {

// A named statement: the name is the prepared statement's name and the metric's label. Prepared at
// first use on each connection. Two statements with one name must have one text.
struct Statement {
  std::string name;
  std::string text;
  // Of a statement that exists once per partition: the name without the partition, for metrics. A
  // connection gives such statements up when many newer ones were used.
  std::string family{};
  const std::string& label() const { return family.empty() ? name : family; }
};

// Binary parameters in order ($1, $2, …). Types are given by the value, so `text` never becomes
// SQL.
class Params {
 public:
  Params& i16(std::optional<std::int16_t> value);
  Params& i32(std::optional<std::int32_t> value);
  Params& i64(std::optional<std::int64_t> value);
  Params& f64(std::optional<double> value);
  Params& boolean(bool value);
  Params& text(std::optional<std::string_view> value);
  Params& bytea(std::optional<std::string_view> value);
  Params& uuid(const std::optional<Uuid>& value);
  Params& timestamp(std::optional<Time> value);  // timestamptz

  // One-dimensional arrays; nullopt elements are NULL.
  Params& i16s(std::span<const std::optional<std::int16_t>> values);
  Params& i16s(std::span<const std::int16_t> values);
  Params& i32s(std::span<const std::optional<std::int32_t>> values);
  Params& i32s(std::span<const std::int32_t> values);
  Params& i64s(std::span<const std::optional<std::int64_t>> values);
  Params& i64s(std::span<const std::int64_t> values);
  Params& booleans(const std::vector<bool>& values);
  Params& texts(std::span<const std::optional<std::string_view>> values);
  Params& texts(std::span<const std::string_view> values);
  Params& uuids(std::span<const std::optional<Uuid>> values);
  Params& uuids(std::span<const Uuid> values);
  Params& timestamps(std::span<const std::optional<Time>> values);

  struct Value {
    std::uint32_t oid;
    bool null;
    std::string bytes;
  };
  const std::vector<Value>& values() const { return values_; }
  std::size_t bytes() const;

 private:
  std::vector<Value> values_;
};

struct Call {
  const Statement* statement;  // outlives the call
  Params params;
};

}  // namespace eventhub::pg
