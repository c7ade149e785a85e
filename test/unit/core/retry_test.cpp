// The retry policy as a table: what a subscriber is told follows from which answer.
#include "eventhub/core/retry.hpp"

#include <limits>

#include "support/catch.hpp"

using namespace eventhub;
using namespace std::chrono_literals;
using Cause = AttemptResult::Kind;

namespace {

constexpr Millis kHour = 3'600'000ms;

AttemptResult answer(int status) {
  AttemptResult result;
  result.kind = Cause::answered;
  result.status = status;
  if (status < 200 || status > 299) result.error = "HTTP " + std::to_string(status);
  return result;
}

AttemptResult failure(Cause kind, std::string error, bool sent = true) {
  AttemptResult result;
  result.kind = kind;
  result.error = std::move(error);
  result.sent = sent;
  return result;
}

Subscriber subscriber(Guarantee guarantee = Guarantee::at_least_once) {
  Subscriber s;
  s.guarantee = guarantee;
  return s;
}

Verdict decide_first(const AttemptResult& result, Guarantee guarantee = Guarantee::at_least_once) {
  return decide(result, 1, subscriber(guarantee), kHour, 0.5);
}

struct Row {
  int status;
  Outcome outcome;
  std::string reason;
};

}  // namespace

TEST_CASE("an answer's status decides the first attempt") {
  const auto row = GENERATE(values<Row>({
      {200, Outcome::delivered, ""},    {201, Outcome::delivered, ""},
      {204, Outcome::delivered, ""},    {299, Outcome::delivered, ""},
      {301, Outcome::dead, "redirect"}, {302, Outcome::dead, "redirect"},
      {304, Outcome::dead, "redirect"}, {399, Outcome::dead, "redirect"},
      {400, Outcome::dead, "rejected"}, {401, Outcome::dead, "rejected"},
      {404, Outcome::dead, "rejected"}, {408, Outcome::dead, "rejected"},
      {410, Outcome::dead, "gone"},     {422, Outcome::dead, "rejected"},
      {499, Outcome::dead, "rejected"}, {429, Outcome::retry, ""},
      {500, Outcome::retry, ""},        {503, Outcome::retry, ""},
      {599, Outcome::retry, ""},        {600, Outcome::retry, ""},
      {999, Outcome::retry, ""},        {0, Outcome::retry, ""},
      {100, Outcome::retry, ""},        {101, Outcome::retry, ""},
      {199, Outcome::retry, ""},        {-1, Outcome::retry, ""},
  }));
  CAPTURE(row.status);
  const Verdict verdict = decide_first(answer(row.status));
  CHECK(verdict.outcome == row.outcome);
  CHECK(verdict.reason == row.reason);
  CHECK(verdict.pause_subscriber == (row.status == 410));
  CHECK(verdict.wait == (row.outcome == Outcome::retry ? 5000ms : 0ms));
  CHECK(verdict.detail.empty() == !is_dead_letter(row.outcome));
}

TEST_CASE("a subscriber says which answers are tried again") {
  Subscriber s = subscriber();
  s.retry.statuses = {{404, 404}, {410, 410}, {500, 599}};
  const auto outcome = [&](const AttemptResult& result) {
    return decide(result, 1, s, kHour, 0.5).outcome;
  };
  CHECK(outcome(answer(404)) == Outcome::retry);
  CHECK(outcome(answer(503)) == Outcome::retry);
  CHECK(outcome(answer(429)) == Outcome::dead);
  CHECK(outcome(answer(400)) == Outcome::dead);
  CHECK(outcome(answer(302)) == Outcome::dead);
  CHECK(outcome(answer(204)) == Outcome::delivered);
  CHECK(outcome(answer(99)) == Outcome::retry);  // no answer that a webhook can give
  CHECK_FALSE(decide(answer(410), 1, s, kHour, 0.5).pause_subscriber);
  s.retry.statuses.clear();
  CHECK(decide(answer(500), 1, s, kHour, 0.5).reason == "rejected");
  CHECK(outcome(failure(Cause::network_error, "reset")) == Outcome::retry);
}

TEST_CASE("statuses are three digits or a class") {
  CHECK(parse_statuses("404") == StatusRange{404, 404});
  CHECK(parse_statuses("599") == StatusRange{599, 599});
  CHECK(parse_statuses("5xx") == StatusRange{500, 599});
  for (const char* text : {"", "4", "40", "4x", "xxx", "200", "2xx", "600", "4xX", "40x", "4 4",
                           "4-1", "+40", "4040", "4xx "}) {
    INFO(text);
    CHECK_FALSE(parse_statuses(text));
  }
}

TEST_CASE("network errors and time-outs are tried again, refused addresses are not") {
  CHECK(decide_first(failure(Cause::network_error, "connection refused")).outcome ==
        Outcome::retry);
  CHECK(decide_first(failure(Cause::timeout, "timed out")).outcome == Outcome::retry);
  const Verdict refused = decide_first(failure(Cause::refused, "10.0.0.1 is private", false));
  CHECK(refused.outcome == Outcome::refused);
  CHECK(refused.reason == "blocked_by_policy");
  CHECK(refused.detail == "10.0.0.1 is private");
}

TEST_CASE("retry n waits element n, the last one repeats, then the message is dead") {
  Subscriber s = subscriber();
  s.retry.limit = 5;
  const std::vector<Millis> waits{5s, 30s, 300s, 300s, 300s};
  for (int attempt = 1; attempt <= 5; ++attempt) {
    const Verdict verdict = decide(answer(500), attempt, s, kHour, 0.9);
    CHECK(verdict.outcome == Outcome::retry);
    CHECK(verdict.wait == waits[static_cast<std::size_t>(attempt - 1)]);
  }
  const Verdict last = decide(answer(500), 6, s, kHour, 0.9);
  CHECK(last.outcome == Outcome::dead);
  CHECK(last.reason == "retries_exhausted");
  CHECK(last.detail == "Retries exhausted after 6 attempts. Last error: HTTP 500");
}

TEST_CASE("the default policy makes four attempts, a limit of 0 makes one") {
  CHECK(decide(answer(503), 3, subscriber(), kHour, 0).outcome == Outcome::retry);
  CHECK(decide(answer(503), 4, subscriber(), kHour, 0).outcome == Outcome::dead);
  Subscriber s = subscriber();
  s.retry.limit = 0;
  const Verdict verdict = decide(failure(Cause::timeout, "timed out"), 1, s, kHour, 0);
  CHECK(verdict.outcome == Outcome::dead);
  CHECK(verdict.detail == "Retries exhausted after 1 attempt. Last error: timed out");
}

TEST_CASE("Retry-After lengthens a wait up to the cap and never shortens it") {
  AttemptResult result = answer(429);
  result.retry_after = 60s;
  CHECK(decide_first(result).wait == 60s);
  result.retry_after = 1s;
  CHECK(decide_first(result).wait == 5s);
  result.retry_after = Seconds{1'000'000'000};
  CHECK(decide_first(result).wait == kHour);
  Subscriber patient = subscriber();
  patient.retry.backoff_seconds = {7200};
  CHECK(decide(result, 1, patient, kHour, 0).wait == 2h);
}

TEST_CASE("jitter only lengthens") {
  Subscriber s = subscriber();
  s.retry.jitter = 0.1;
  CHECK(decide(answer(500), 1, s, kHour, 0.0).wait == 5000ms);
  CHECK(decide(answer(500), 1, s, kHour, 0.5).wait == 5250ms);
  CHECK(decide(answer(500), 1, s, kHour, 0.999).wait <= 5500ms);
}

TEST_CASE("odd backoffs do not break the policy") {
  Subscriber s = subscriber();
  s.retry.backoff_seconds = {};
  CHECK(decide(answer(500), 1, s, kHour, 0).wait == 0ms);
  s.retry.backoff_seconds = {-5, std::numeric_limits<double>::quiet_NaN()};
  CHECK(decide(answer(500), 1, s, kHour, 0).wait == 0ms);
  CHECK(decide(answer(500), 2, s, kHour, 0).wait == 0ms);
  s.retry.backoff_seconds = {0.05};
  CHECK(decide(answer(500), 1, s, kHour, 0).wait == 50ms);
}

TEST_CASE("what expired is dead for that reason, whatever the guarantee and the attempt") {
  const auto over = failure(Cause::expired, "too late", false);
  for (const auto guarantee : {Guarantee::at_least_once, Guarantee::at_most_once}) {
    const Verdict verdict = decide_first(over, guarantee);
    CHECK(verdict.outcome == Outcome::expired);
    CHECK(verdict.reason == "expired");
    CHECK(verdict.detail == "too late");
  }
  CHECK(sign_of(over) == Sign::none);
}

TEST_CASE("at most once: no failure is tried again") {
  const auto amo = Guarantee::at_most_once;
  CHECK(decide_first(answer(200), amo).outcome == Outcome::delivered);
  const Verdict busy = decide_first(answer(503), amo);
  CHECK(busy.outcome == Outcome::dead);
  CHECK(busy.reason == "at_most_once");
  CHECK(decide_first(answer(429), amo).outcome == Outcome::dead);
  CHECK(decide_first(answer(404), amo).reason == "rejected");
  CHECK(decide_first(answer(302), amo).reason == "redirect");
  CHECK(decide_first(failure(Cause::refused, "x", false), amo).outcome == Outcome::refused);
}

TEST_CASE("at most once: what may have arrived is unknown, what was never sent is not") {
  const auto amo = Guarantee::at_most_once;
  for (const Cause kind : {Cause::network_error, Cause::timeout}) {
    const Verdict maybe = decide_first(failure(kind, "cut"), amo);
    CHECK(maybe.outcome == Outcome::unknown);
    CHECK(maybe.reason == "unknown_outcome");
    const Verdict never = decide_first(failure(kind, "connection refused", false), amo);
    CHECK(never.outcome == Outcome::dead);
    CHECK(never.reason == "not_sent");
  }
  CHECK(decide_first(answer(999), amo).outcome == Outcome::unknown);
}

TEST_CASE("Retry-After: seconds and the three dates") {
  const Time now{Seconds{784'111'777}};  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(parse_retry_after("120", now) == 120s);
  CHECK(parse_retry_after("0", now) == 0s);
  CHECK(parse_retry_after(" 7\t", now) == 7s);
  CHECK(parse_retry_after("1000000000", now) == Seconds{1'000'000'000});
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now) == 60s);
  CHECK(parse_retry_after("Sunday, 06-Nov-94 08:50:37 GMT", now) == 60s);
  CHECK(parse_retry_after("Sun Nov  6 08:50:37 1994", now) == 60s);
  CHECK(parse_retry_after("Wed Nov 16 08:49:37 1994", now) == 240h);
  CHECK(parse_retry_after("Thursday, 06-Nov-80 08:49:37 GMT", now) == std::nullopt);  // 1980
  const Time later{Seconds{1'800'000'000}};                                           // 2027-01-15
  CHECK(parse_retry_after("Friday, 15-Jan-27 08:01:00 GMT", later) == 60s);
}

TEST_CASE("Retry-After: garbage, the past and overflow are ignored") {
  const Time now{Seconds{784'111'777}};
  const auto text = GENERATE(as<std::string>{}, "", " ", "-1", "+5", "1.5", "5s", "1e3", "0x10",
                             "soon", "99999999999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Nov 1994 08:48:37 GMT", "Sun, 06 Nov 1995 08:49:37",
                             "Sun, 06 Nov 1995 08:49:37 UTC", "Sun, 6 Nov 1995 08:49:37 GMT",
                             "Sun, 31 Feb 1995 08:49:37 GMT", "Sun, 06 Nov 1995 24:49:37 GMT",
                             "Xxx, 06 Nov 1995 08:49:37 GMT", "Sun, 06 Nov 1995 08:49:37 GMT x",
                             "Sun, 06 Foo 1995 08:49:37 GMT", "Sun, 06 Nov 199", "12, 13",
                             "1995-11-06T08:49:37Z", "Sun Nov 6 08:50:37 1995");
  CAPTURE(text);
  CHECK(parse_retry_after(text, now) == std::nullopt);
}
