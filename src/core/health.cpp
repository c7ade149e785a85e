// The circuit of a receiver, its slow start and its failures; pure. Lanes asks how many requests
// may be in the air, dispatcher/health.cpp carries reports to the table and its rows back.
#include "eventhub/core/health.hpp"

#include <algorithm>

namespace eventhub {
namespace {

constexpr Millis kStep{1'000};          // of the slow start
constexpr int kSteps = 14;              // 2^14 is more than any max_in_flight
constexpr Millis kFailingAfter{2'000};  // nothing but failures for so long is told
constexpr Millis kFailingEvery{5'000};  // … and again

}  // namespace

std::string_view to_string(Circuit circuit) {
  switch (circuit) {
    case Circuit::open:
      return "open";
    case Circuit::half_open:
      return "half_open";
    case Circuit::closed:
      break;
  }
  return "closed";
}

int Health::most(Mono now) const {
  if (holding()) return probing() ? 1 : 0;
  if (slow_since_ == Mono{}) return kNoBound;
  const auto steps = (now - slow_since_) / kStep;
  return steps < kSteps ? 1 << static_cast<int>(steps) : kNoBound;
}

std::optional<Mono> Health::next_step(Mono now) const {
  if (holding() || slow_since_ == Mono{}) return std::nullopt;
  const auto steps = (now - slow_since_) / kStep;
  if (steps >= kSteps) return std::nullopt;
  return slow_since_ + kStep * (steps + 1);
}

void Health::close(Mono now) {
  if (holding()) slow_since_ = now;
  circuit_ = Circuit::closed;
  ours_ = false;
  failures_ = 0;
}

void Health::resume(Mono now) {
  forget();
  slow_since_ = now;
}

bool Health::ended(Sign sign, const CircuitPolicy& policy, Mono now) {
  if (sign == Sign::none) return false;
  if (sign != Sign::delivered) {
    failed_ = now;
    if (failing_since_ == Mono{}) failing_since_ = now;
  }
  if (sign == Sign::failed) {
    ++failures_;
    if (probing()) {
      circuit_ = Circuit::open;
      ours_ = false;
      until_ = now + policy.open;
      wish_ = CircuitWish::reopen;
      return true;
    }
    const bool trips = policy.failures > 0 && failures_ >= policy.failures && !holding() && !spent_;
    if (!trips) return false;
    circuit_ = Circuit::open;
    opened_ = now;
    until_ = now + policy.open;
    wish_ = CircuitWish::open;
    return true;
  }
  failures_ = 0;
  if (sign == Sign::delivered) {
    failing_since_ = {};
    ++successes_;
  }
  if (!holding() && !spent_) return false;
  const bool held = holding();
  close(now);
  spent_ = false;
  wish_ = CircuitWish::close;
  return held;
}

HealthReport Health::report(const Subscriber& row, bool waits, Millis hold_max, Millis lease,
                            Mono now) {
  HealthReport report;
  report.sid = row.sid;
  report.succeeded = failing_ && successes_ != told_successes_;
  telling_ = successes_;
  const bool lasts = failing_since_ != Mono{} && now - failing_since_ >= kFailingAfter;
  if (lasts && failed_ > reported_ && (!failing_ || now - reported_ >= kFailingEvery)) {
    report.failed = true;
    reported_ = now;
  }
  report.open = row.circuit.open;
  report.probe = lease;
  report.wish = told_ = wish_;
  if (wish_ != CircuitWish::none || !holding()) return report;
  if (row.circuit.failures == 0) {
    report.wish = CircuitWish::close;  // switched off meanwhile
  } else if (now - opened_ >= hold_max) {
    report.wish = CircuitWish::give_up;
  } else if (waits && now >= until_) {
    report.wish = CircuitWish::probe;
  }
  return report;
}

bool Health::seen(const HealthSeen* row, Mono now) {
  failing_ = row != nullptr && row->failing;
  told_successes_ = telling_;
  if (wish_ != told_) return false;  // something else happened meanwhile: the next report tells
  wish_ = told_ = CircuitWish::none;
  const int before = most(now);
  const HealthSeen healthy;
  const HealthSeen& table = row != nullptr ? *row : healthy;
  spent_ = table.spent;
  if (table.circuit == Circuit::closed) {
    if (holding()) close(now);
    return most(now) != before;
  }
  circuit_ = table.circuit;
  ours_ = table.ours;
  opened_ = table.opened;
  until_ = table.until;
  return most(now) != before;
}

}  // namespace eventhub
