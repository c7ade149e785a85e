// The estimate moves only as far as a word of the server proves it wrong. Calls nothing further.
#include "eventhub/core/server_clock.hpp"

#include <algorithm>

namespace eventhub {
namespace {

Micros since_start(Mono when) {
  return std::chrono::duration_cast<Micros>(when.time_since_epoch());
}

}  // namespace

Time ServerClock::now() const {
  return ahead_ ? Time{since_start(mono()) + *ahead_} : local_.now();
}

Micros ServerClock::doubt() const {
  return ahead_ ? std::max(most_ - *ahead_, *ahead_ - least_) : Micros{0};
}

// A slow answer proves little.
void ServerClock::told(Time server, Mono sent) {
  const auto least = server.time_since_epoch() - since_start(mono());
  const auto most = server.time_since_epoch() - since_start(sent);
  const bool anew = !ahead_ || least > most_ || most < least_;  // the server's clock was set
  least_ = anew ? least : std::max(least_, least);
  most_ = anew ? most : std::min(most_, most);
  ahead_ = std::clamp(ahead_.value_or((least + most) / 2), least_, most_);
}

}  // namespace eventhub
