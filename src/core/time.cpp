// The system's clocks behind the Clock interface; nothing else calls ::now().
#include "eventhub/core/time.hpp"

namespace eventhub {

Time SystemClock::now() const {
  return std::chrono::time_point_cast<Micros>(std::chrono::system_clock::now());
}

Mono SystemClock::mono() const {
  return std::chrono::steady_clock::now();
}

}  // namespace eventhub
