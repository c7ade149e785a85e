#pragma once
#include <chrono>

// The only place that names clocks. Due times that reach the database are wall time, the server's
// (core/server_clock.hpp); everything that measures a duration (time-outs, leases, ages) is
// monotonic.
namespace eventhub {

using Micros = std::chrono::microseconds;
using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
// Microsecond wall time, the resolution of PostgreSQL's timestamptz.
using Time = std::chrono::sys_time<Micros>;
using Mono = std::chrono::steady_clock::time_point;

// Handed down by reference; tests pass ManualClock.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
  virtual Mono mono() const = 0;
};

class SystemClock final : public Clock {
 public:
  Time now() const override;
  Mono mono() const override;
};

class ManualClock final : public Clock {
 public:
  Time now() const override { return now_; }
  Mono mono() const override { return mono_; }
  void advance(Micros by) {
    now_ += by;
    mono_ += by;
  }

 private:
  Time now_{std::chrono::seconds{1'800'000'000}};
  Mono mono_{std::chrono::hours{1}};
};

}  // namespace eventhub
