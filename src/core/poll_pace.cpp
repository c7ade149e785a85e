// The pause between two polls. Used by the dispatcher's feed, the fan-out and the mover.
#include "eventhub/core/poll_pace.hpp"

#include <algorithm>

namespace eventhub {
namespace {

constexpr Millis kToldFloor{10};  // a signal of another process comes at the latest after 10 ms
constexpr Millis kToldQuiet{1'000};
constexpr Seconds kToldQuietAfter{10};

}  // namespace

PollRange told_range(Millis poll_interval) {
  const Millis usual = std::max(poll_interval, kToldFloor);
  return {kToldFloor, usual, std::max(usual, kToldQuiet), kToldQuietAfter};
}

void PollPace::busy(Mono now) {
  pause_ = range_.floor;
  busy_at_ = now;
}

void PollPace::waited(bool woken, Mono now) {
  woken ? busy(now) : idle(now);
}

void PollPace::idle(Mono now) {
  const bool quiet = now - busy_at_ >= range_.quiet_after;
  pause_ = std::min(pause_ * 2, quiet ? range_.quiet : range_.usual);
}

}  // namespace eventhub
