#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

struct pg_result;

// One value of a result and its checks; every fault is a std::logic_error that names the column.
namespace eventhub::pg {

struct Cell {
  std::uint32_t type;
  bool null;
  std::string_view bytes;
};

inline constexpr std::size_t any_size = static_cast<std::size_t>(-1);

Cell cell(const pg_result* raw, int row, int column);
// The bytes of a value that is not NULL, has this type and this size.
std::string_view value_of(const pg_result* raw, int row, int column, std::uint32_t type,
                          std::size_t size);
[[noreturn]] void wrong_type(const pg_result* raw, int column, std::uint32_t wanted);
[[noreturn]] void null_value(const pg_result* raw, int column);

}  // namespace eventhub::pg
