// The estimate moves only as far as a word of the server proves it wrong. Calls nothing further.
#include "eventhub/core/server_clock.hpp"

#include <algorithm>

namespace eventhub {
namespace {

std::chrono::microseconds since_start(Mono when) {
  return std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch());
}

}  // namespace

Time ServerClock::now() const {
  return ahead_ ? Time{since_start(mono()) + *ahead_} : local_.now();
}

// A slow answer proves little.
void ServerClock::told(Time server, Mono sent) {
  const auto least = server.time_since_epoch() - since_start(mono());
  const auto most = server.time_since_epoch() - since_start(sent);
  ahead_ = std::clamp(ahead_.value_or((least + most) / 2), least, most);
}

}  // namespace eventhub
