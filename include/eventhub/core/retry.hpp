#pragma once
#include <optional>
#include <string>

#include "eventhub/core/health.hpp"
#include "eventhub/core/subscriber.hpp"

namespace eventhub {

// What came back from one attempt: an HTTP status, or an error before one was complete.
struct AttemptResult {
  enum class Kind {
    answered,       // `status` is set
    network_error,  // DNS, connect, TLS, reset, garbage: never a status
    timeout,        // the attempt's deadline passed
    refused,        // egress policy: nothing was sent
    not_started,    // no connection of the origin came free in time: no attempt, nothing was sent
    expired,        // expires_at of the event has come: nothing was sent
  };
  Kind kind = Kind::network_error;
  // False only when it is certain that no byte of the request left this process.
  bool sent = true;
  int status = 0;
  std::string error;                  // short, for people; empty when 2xx
  std::optional<Millis> retry_after;  // the receiver's wish, parsed
  std::string response;               // first 1 KiB of a non-2xx answer
  Millis duration{0};
};

struct Verdict {
  Outcome outcome = Outcome::delivered;
  Millis wait{0};  // only for Outcome::retry
  // Only for dead letters: `retries_exhausted`, `rejected` (4xx or 5xx), `redirect` (3xx), `gone`
  // (410), `blocked_by_policy`, `expired`; and at most once: `at_most_once`, `unknown_outcome`,
  // `not_sent`.
  std::string reason;
  std::string detail;             // the reason as a sentence for people, with the last error
  bool pause_subscriber = false;  // 410
};

// The retry policy, pure: `attempt` is the number of the attempt that just ended, from 1.
// `random` in [0,1) feeds the jitter. `retry_after_max` caps Retry-After.
Verdict decide(const AttemptResult& result, int attempt, const Subscriber& subscriber,
               Millis retry_after_max, double random);

// "404" or "4xx": 300 to 599. Anything else: nullopt.
std::optional<StatusRange> parse_statuses(std::string_view text);

// What an attempt says of its receiver; nothing when nothing was sent because it must not be.
Sign sign_of(const AttemptResult& result);

// Retry-After: delay-seconds or an HTTP date (RFC 9110 10.2.3). Garbage and past dates: nullopt.
std::optional<Millis> parse_retry_after(std::string_view value, Time now);

}  // namespace eventhub
