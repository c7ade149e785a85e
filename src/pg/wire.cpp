// Times between the C++ epoch (1970) and PostgreSQL's (2000); used by params and result.
#include "pg/wire.hpp"

#include <limits>

namespace eventhub::pg::wire {
namespace {
constexpr std::int64_t epoch_gap = 946'684'800'000'000;
using Limits = std::numeric_limits<std::int64_t>;
}  // namespace

std::int64_t from_time(Time time) {
  const std::int64_t since_1970 = time.time_since_epoch().count();
  if (time == Time::max()) return Limits::max();
  if (since_1970 < Limits::min() + epoch_gap) return Limits::min();
  return since_1970 - epoch_gap;
}

Time to_time(std::int64_t microseconds) {
  if (microseconds == Limits::min()) return Time::min();
  if (microseconds > Limits::max() - epoch_gap) return Time::max();
  return Time{Micros{microseconds + epoch_gap}};
}

}  // namespace eventhub::pg::wire
