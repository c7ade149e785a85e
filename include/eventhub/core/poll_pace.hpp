#pragma once
#include "eventhub/core/time.hpp"

namespace eventhub {

// How long a loop that is woken by signals waits between two looks of its own, for the signal that
// got lost: at `floor` after there was something, twice as long each time up to `usual`, and up to
// `quiet` when there was nothing for `quiet_after`.
struct PollRange {
  Millis floor, usual, quiet;
  Seconds quiet_after;
};

// For those who are told of everything (LISTEN, signals within the process): after ten quiet
// seconds they look once a second. `poll_interval`: the setting, their `usual`.
PollRange told_range(Millis poll_interval);

class PollPace {
 public:
  PollPace(PollRange range, Mono now) : range_(range), pause_(range.floor), busy_at_(now) {}
  void busy(Mono now);                // there was something
  void waited(bool woken, Mono now);  // a whole pause(), or less: by a signal
  Millis pause() const { return pause_; }

 private:
  void idle(Mono now);

  PollRange range_;
  Millis pause_;
  Mono busy_at_;
};

}  // namespace eventhub
