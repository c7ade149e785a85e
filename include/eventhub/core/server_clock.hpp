#pragma once
#include <optional>

#include "eventhub/core/time.hpp"

namespace eventhub {

// Wall time as the database's server tells it: due times mean the same whoever wrote them, whatever
// happens to this machine's clock. Between two words of the server it goes on with the monotonic
// clock; before the first one it is this machine's. Known to half a round trip, and then steady.
class ServerClock final : public Clock {
 public:
  explicit ServerClock(const Clock& local) : local_(local) {}
  Time now() const override;
  Mono mono() const override { return local_.mono(); }

  // `server` is what its clock showed at some time between `sent` and now.
  void told(Time server, Mono sent);

 private:
  const Clock& local_;
  std::optional<std::chrono::microseconds> ahead_;  // of the monotonic clock
};

}  // namespace eventhub
