// What follows from one attempt: delivered, tried again (when), or dead (why). Pure; the dispatcher
// records the verdict.
#include "eventhub/core/retry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace eventhub {
namespace {

constexpr double kWaitSecondsMax = 86'400;

using Kind = AttemptResult::Kind;

// A status outside 200..599 is not an answer a webhook can give.
bool has_status(const AttemptResult& result) {
  return result.kind == Kind::answered && result.status >= 200 && result.status <= 599;
}

bool is_retryable(const AttemptResult& result, const RetryPolicy& policy) {
  const auto holds = [&](const StatusRange& range) {
    return range.first <= result.status && result.status <= range.last;
  };
  return !has_status(result) || std::ranges::any_of(policy.statuses, holds);
}

std::string describe(const AttemptResult& result) {
  if (!result.error.empty()) return result.error;
  if (result.kind == Kind::answered) return fmt::format("HTTP {}", result.status);
  return result.kind == Kind::timeout ? "timed out" : "network error";
}

Verdict dead(Outcome outcome, std::string reason, std::string detail) {
  Verdict verdict;
  verdict.outcome = outcome;
  verdict.reason = std::move(reason);
  verdict.detail = std::move(detail);
  return verdict;
}

// What no repetition will mend.
Verdict rejected(const AttemptResult& result) {
  const std::string error = describe(result);
  if (result.status < 400) {
    return dead(Outcome::dead, "redirect", "Redirects are not followed: " + error);
  }
  if (result.status == 410) {
    Verdict verdict = dead(Outcome::dead, "gone", "The receiver is gone: " + error);
    verdict.pause_subscriber = true;
    return verdict;
  }
  return dead(Outcome::dead, "rejected", "The receiver rejected the message: " + error);
}

// At most once: whatever happened, there is no second attempt.
Verdict failed_once(const AttemptResult& result) {
  const std::string error = describe(result);
  if (has_status(result)) {
    return dead(Outcome::dead, "at_most_once", "Failed, and is sent at most once: " + error);
  }
  if (!result.sent) {
    return dead(Outcome::dead, "not_sent", "Nothing was sent, and is tried only once: " + error);
  }
  return dead(Outcome::unknown, "unknown_outcome",
              "The receiver may or may not have it (at most once): " + error);
}

// Retry n waits element n; the last one repeats. Jitter lengthens.
Millis backoff(const RetryPolicy& policy, int retry, double random) {
  if (policy.backoff_seconds.empty()) return Millis{0};
  const auto last = policy.backoff_seconds.size() - 1;
  const auto index = std::min(static_cast<std::size_t>(std::max(retry, 1) - 1), last);
  const double share = std::clamp(policy.jitter, 0.0, 1.0) * std::clamp(random, 0.0, 1.0);
  const double seconds = policy.backoff_seconds[index] * (1.0 + share);
  if (!(seconds > 0)) return Millis{0};
  return Millis{std::llround(std::ceil(std::min(seconds, 2 * kWaitSecondsMax) * 1000.0))};
}

}  // namespace

std::optional<StatusRange> parse_statuses(std::string_view text) {
  if (text.size() != 3 || text[0] < '3' || text[0] > '5') return std::nullopt;
  const int hundreds = (text[0] - '0') * 100;
  if (text.substr(1) == "xx") return StatusRange{hundreds, hundreds + 99};
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!is_digit(text[1]) || !is_digit(text[2])) return std::nullopt;
  const int rest = (text[1] - '0') * 10 + (text[2] - '0');
  return StatusRange{hundreds + rest, hundreds + rest};
}

Sign sign_of(const AttemptResult& result) {
  if (result.kind == Kind::refused || result.kind == Kind::not_started ||
      result.kind == Kind::expired) {
    return Sign::none;
  }
  const bool ill = !has_status(result) || result.status == 429 || result.status >= 500;
  if (ill) return Sign::failed;  // whatever the subscriber wants tried again
  return result.status < 300 ? Sign::delivered : Sign::answered;
}

Verdict decide(const AttemptResult& result, int attempt, const Subscriber& subscriber,
               Millis retry_after_max, double random) {
  if (result.kind == Kind::refused) {
    return dead(Outcome::refused, "blocked_by_policy", describe(result));
  }
  if (result.kind == Kind::expired) return dead(Outcome::expired, "expired", describe(result));
  if (has_status(result) && result.status < 300) return Verdict{};
  if (!is_retryable(result, subscriber.retry)) return rejected(result);
  if (subscriber.guarantee == Guarantee::at_most_once) return failed_once(result);
  if (attempt > subscriber.retry.limit) {
    return dead(Outcome::dead, "retries_exhausted",
                fmt::format("Retries exhausted after {} attempt{}. Last error: {}", attempt,
                            attempt == 1 ? "" : "s", describe(result)));
  }
  Verdict verdict;
  verdict.outcome = Outcome::retry;
  verdict.wait = backoff(subscriber.retry, attempt, random);
  if (result.retry_after) {
    verdict.wait = std::max(verdict.wait, std::min(*result.retry_after, retry_after_max));
  }
  return verdict;
}

}  // namespace eventhub
