#pragma once
#include <cstdint>
#include <string>

#include "bench/shape.hpp"

namespace eventhub::bench {

// One stretch of load.
struct Load {
  std::uint16_t port = 0;  // of the hub on 127.0.0.1
  bool closed = false;     // every connection sends its next event when the answer is there
  double rate = 200;       // open loop: events per second, sent at constant intervals
  double seconds = 10;
  std::uint32_t connections = 64;
  std::uint32_t keys = 100;  // 0: events without a key
  bool idempotency = false;  // an idempotency key for every event
  bool one_key = false;      // all have `first_key`, and do not wait for one another
  std::uint64_t events = 0;  // closed loop: no more than so many; 0: as many as come to be
  bool optional = false;     // nobody has to get them
  // So that several stretches can share a log and a hub:
  std::uint8_t part = 1;  // of the run; 0: not measured
  std::uint32_t first_key = 0;
  std::uint64_t first_number = 0;
  std::string run;
};

// Posts events and appends one record each to the log; returns when all are answered or given up.
// The events of a key are sent one after the other, so their order is defined (not with one_key).
// Throws std::runtime_error when the hub cannot be reached at the start.
void produce(const Load& load, const Shape& shape, const std::string& log_file);

}  // namespace eventhub::bench
