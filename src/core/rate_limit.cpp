// The token bucket of API keys (src/api/access.cpp) and of subscribers (lanes_start.cpp); pure.
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

RateLimit rate_part(double per_second, int owned, int spread) {
  constexpr double kBurstSeconds = 0.1;  // what a timer that is late may catch up with
  RateLimit part;
  part.per_second = per_second * std::max(owned, 1) / spread;
  part.burst = std::max(1, static_cast<int>(part.per_second * kBurstSeconds));
  return part;
}

Mono RateBucket::next(const RateLimit& limit) const {
  const Nanos interval = interval_of(limit);
  return full_at_ + interval - interval * limit.burst;
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
