// The system's clocks behind the Clock interface (nothing else calls ::now()), and times as text.
#include "eventhub/core/time.hpp"

#include "core/log_format.hpp"

namespace eventhub {

Time SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

Mono SystemClock::mono() const {
  return std::chrono::steady_clock::now();
}

std::string rfc3339(Time time) {
  std::string text;
  log::append_time(text, time);
  return text;
}

}  // namespace eventhub
