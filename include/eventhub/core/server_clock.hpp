#pragma once
#include <optional>

#include "eventhub/core/time.hpp"

namespace eventhub {

// Wall time as the database's server tells it: due times mean the same whoever wrote them, whatever
// happens to this machine's clock. Between two words of the server it goes on with the monotonic
// clock; before the first one it is this machine's. Known to half a round trip at first; later
// words move it within what the earlier ones left open.
class ServerClock final : public Clock {
 public:
  explicit ServerClock(const Clock& local) : local_(local) {}
  Time now() const override;
  Mono mono() const override { return local_.mono(); }

  // How far now() may still move unless somebody sets the server's clock.
  Micros doubt() const;

  // `server` is what its clock showed at some time between `sent` and now.
  void told(Time server, Mono sent);

 private:
  const Clock& local_;
  // Of the monotonic clock: the estimate, and what no word of the server has excluded.
  std::optional<Micros> ahead_;
  Micros least_{0}, most_{0};
};

}  // namespace eventhub
