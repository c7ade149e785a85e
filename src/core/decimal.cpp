// Numbers of any size compared by value, without rounding. Called by filter.cpp and match.cpp.
#include "decimal.hpp"

#include <algorithm>

namespace eventhub {
namespace {

std::int64_t read_exponent(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;  // of what is no JSON
    value = std::min(value * 10 + (c - '0'), Decimal::kExponentMax);
  }
  return negative ? -value : value;
}

}  // namespace

Decimal read_decimal(std::string_view number) {
  Decimal out;
  out.negative = number.starts_with('-');
  if (out.negative) number.remove_prefix(1);
  const std::size_t e = std::min(number.find_first_of("eE"), number.size());
  if (e < number.size()) out.exponent = read_exponent(number.substr(e + 1));
  number = number.substr(0, e);
  const std::size_t point = std::min(number.find('.'), number.size());
  out.exponent += static_cast<std::int64_t>(point);
  out.digits.append(number.substr(0, point));
  if (point < number.size()) out.digits.append(number.substr(point + 1));
  const std::size_t zeros = std::min(out.digits.find_first_not_of('0'), out.digits.size());
  out.digits.erase(0, zeros);
  out.exponent -= static_cast<std::int64_t>(zeros);
  out.digits.erase(out.digits.find_last_not_of('0') + 1);
  if (out.digits.empty()) return {};
  return out;
}

std::strong_ordering compare(const Decimal& left, const Decimal& right) {
  const auto sign = [](const Decimal& value) {
    if (value.digits.empty()) return 0;
    return value.negative ? -1 : 1;
  };
  if (sign(left) != sign(right)) return sign(left) <=> sign(right);
  const Decimal& small = left.negative ? right : left;
  const Decimal& large = left.negative ? left : right;
  if (small.exponent != large.exponent) return small.exponent <=> large.exponent;
  return small.digits.compare(large.digits) <=> 0;
}

}  // namespace eventhub
