#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/time.hpp"

struct pg_result;

namespace eventhub::pg {

// Rows of one statement, binary format. Reading a column as another type, or NULL without asking
// is_null first, throws std::logic_error. Views live as long as the Result.
class Result {
 public:
  Result() = default;
  explicit Result(pg_result* raw);
  int rows() const;
  // Rows an INSERT, UPDATE or DELETE touched.
  std::int64_t affected() const;
  bool is_null(int row, int column) const;
  std::int16_t i16(int row, int column) const;
  std::int32_t i32(int row, int column) const;
  std::int64_t i64(int row, int column) const;  // also numeric-free counts: int8 columns only
  double f64(int row, int column) const;
  bool boolean(int row, int column) const;
  std::string_view text(int row, int column) const;   // text, varchar, json, bytea: the raw bytes
  std::string_view jsonb(int row, int column) const;  // text of a jsonb
  Uuid uuid(int row, int column) const;
  Time timestamp(int row, int column) const;
  std::optional<std::string> optional_text(int row, int column) const;
  std::optional<std::int64_t> optional_i64(int row, int column) const;
  std::optional<Time> optional_timestamp(int row, int column) const;
  std::vector<std::string> texts(int row, int column) const;  // text[]
  std::vector<double> f64s(int row, int column) const;        // float8[]

 private:
  std::shared_ptr<pg_result> raw_;
};

}  // namespace eventhub::pg
