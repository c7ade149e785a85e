#pragma once
#include "eventhub/core/time.hpp"

namespace eventhub {

// So many at once, and so many per second in the long run.
struct RateLimit {
  double per_second = 0;
  int burst = 0;
  // In which the whole burst is there again, in seconds.
  Seconds window() const;
};

// What one process may use of a subscriber's rate_limit: its part of the shards, as with
// max_in_flight, and at once a tenth of what that is in a second, or one. So in any T seconds all
// processes together make at most rate_limit x (T + 0.1) requests and one more each.
RateLimit rate_part(double per_second, int owned, int spread);

// What one request found.
struct RateState {
  bool allowed = false;
  int remaining = 0;    // requests that would be allowed at once
  Seconds full_in{0};   // until the whole burst is there again
  Seconds retry_in{0};  // of one that was not allowed: until one will be
};

// A token bucket as one point in time: when it is full again. Nothing to be updated while nobody
// asks.
class RateBucket {
 public:
  // Takes a token when there is one.
  RateState take(const RateLimit& limit, Mono now);
  // When there is one.
  Mono next(const RateLimit& limit) const;

 private:
  Mono full_at_{};
};

}  // namespace eventhub
