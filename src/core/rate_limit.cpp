// The token bucket of API keys; pure. Called by src/api/access.cpp.
#include "eventhub/core/rate_limit.hpp"

#include <algorithm>
#include <cmath>

namespace eventhub {
namespace {

using Nanos = std::chrono::nanoseconds;

Nanos interval_of(const RateLimit& limit) {
  return Nanos{std::llround(1e9 / limit.per_second)};
}

Seconds up(Nanos duration) {
  return std::chrono::ceil<Seconds>(std::max(duration, Nanos{0}));
}

}  // namespace

Seconds RateLimit::window() const {
  return up(interval_of(*this) * burst);
}

// Each request moves the point by the interval of one; the bucket is empty when the point is a
// whole burst ahead.
RateState RateBucket::take(const RateLimit& limit, Mono now) {
  const Nanos interval = interval_of(limit);
  const Nanos capacity = interval * limit.burst;
  const Mono after = std::max(full_at_, now) + interval;
  RateState state;
  state.allowed = after - now <= capacity;
  if (state.allowed) {
    full_at_ = after;
  } else {
    state.retry_in = std::max(up(after - now - capacity), Seconds{1});
  }
  const Nanos taken = std::max(full_at_, now) - now;
  state.remaining = static_cast<int>(std::max((capacity - taken) / interval, Nanos::rep{0}));
  state.full_in = up(taken);
  return state;
}

}  // namespace eventhub
