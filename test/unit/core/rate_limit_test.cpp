// The token bucket: bursts, the long run, and what it tells.
#include "eventhub/core/rate_limit.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

const Mono kBegin{Seconds{1'000}};

int allowed(RateBucket& bucket, const RateLimit& limit, Mono now, int requests) {
  int count = 0;
  for (int i = 0; i < requests; ++i) count += bucket.take(limit, now).allowed ? 1 : 0;
  return count;
}

TEST_CASE("a burst is allowed at once, then as many as the rate") {
  const RateLimit limit{.per_second = 10, .burst = 30};
  CHECK(limit.window() == Seconds{3});
  RateBucket bucket;
  CHECK(allowed(bucket, limit, kBegin, 100) == 30);
  CHECK(allowed(bucket, limit, kBegin + Millis{99}, 100) == 0);
  CHECK(allowed(bucket, limit, kBegin + Millis{100}, 100) == 1);
  CHECK(allowed(bucket, limit, kBegin + Seconds{1}, 100) == 9);
  CHECK(allowed(bucket, limit, kBegin + Seconds{60}, 100) == 30);  // never more than the burst
}

TEST_CASE("over a minute of asking all the time the rate is kept to one request") {
  for (const double rate : {0.5, 3.0, 50.0, 333.0}) {
    INFO(rate);
    const RateLimit limit{.per_second = rate, .burst = 5};
    RateBucket bucket;
    int count = 0;
    for (int ms = 0; ms < 60'000; ++ms) count += allowed(bucket, limit, kBegin + Millis{ms}, 1);
    CHECK(std::abs(count - (5 + 60 * rate)) <= 1.0);
  }
}

TEST_CASE("what a request is told") {
  const RateLimit limit{.per_second = 2, .burst = 4};
  RateBucket bucket;
  for (int left = 3; left >= 0; --left) {
    const RateState state = bucket.take(limit, kBegin);
    CHECK(state.allowed);
    CHECK(state.remaining == left);
    CHECK(state.full_in == Seconds{(4 - left + 1) / 2});
  }
  const RateState refused = bucket.take(limit, kBegin);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.remaining == 0);
  CHECK(refused.full_in == Seconds{2});
  CHECK(refused.retry_in == Seconds{1});  // half a second, rounded up
  CHECK(bucket.take(limit, kBegin + refused.retry_in).allowed);
  RateBucket slow;
  const RateLimit seldom{.per_second = 0.01, .burst = 1};
  CHECK(slow.take(seldom, kBegin).allowed);
  CHECK(slow.take(seldom, kBegin + Seconds{1}).retry_in == Seconds{99});
}

TEST_CASE("a limit that was lowered counts at once") {
  RateBucket bucket;
  CHECK(allowed(bucket, {.per_second = 1, .burst = 100}, kBegin, 50) == 50);
  const RateState state = bucket.take({.per_second = 1, .burst = 10}, kBegin);
  CHECK_FALSE(state.allowed);
  CHECK(state.remaining == 0);
  CHECK(state.retry_in == Seconds{41});
}

TEST_CASE("the parts of a rate over all processes are never more than the whole") {
  for (const double rate : {0.01, 1.0, 7.0, 16.0, 250.0, 10'000.0}) {
    const int spread = rate < 16 ? std::max(1, static_cast<int>(rate)) : 16;
    for (int first = 0; first <= spread; ++first) {
      INFO(rate << " a second, " << first << " of " << spread << " shards");
      double sum = 0;
      int burst = 0, owners = 0;
      for (const int owned : {first, spread - first}) {
        if (owned == 0) continue;  // sends nothing
        const RateLimit part = rate_part(rate, owned, spread);
        sum += part.per_second;
        burst += part.burst;
        ++owners;
      }
      CHECK(sum == Approx(rate));
      CHECK(burst <= rate / 10 + owners);
    }
  }
}

TEST_CASE("the next one may go when the bucket has a token again") {
  const RateLimit limit{.per_second = 4, .burst = 2};
  RateBucket bucket;
  CHECK(bucket.next(limit) <= kBegin);
  CHECK(allowed(bucket, limit, kBegin, 5) == 2);
  CHECK(bucket.next(limit) == kBegin + Millis{250});
  CHECK_FALSE(bucket.take(limit, kBegin + Millis{249}).allowed);
  CHECK(bucket.take(limit, bucket.next(limit)).allowed);
}

}  // namespace
}  // namespace eventhub
