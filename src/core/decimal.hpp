#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace eventhub {

// The value of a JSON number, exactly: 0.d1d2d3… × 10^exponent. Equal values have equal fields,
// however they are written.
struct Decimal {
  static constexpr std::int64_t kExponentMax = 1'000'000'000'000;  // what is more counts as this
  bool negative = false;
  std::int64_t exponent = 0;
  std::string digits;  // no zero at either end; none: the value is 0
};

// `number` is one of JSON.
Decimal read_decimal(std::string_view number);
std::strong_ordering compare(const Decimal& left, const Decimal& right);

}  // namespace eventhub
