#pragma once
#include <vector>

#include "eventhub/core/health.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// The table subscriber_health: what all dispatchers know together of receivers that fail. A
// subscriber without a row is healthy. Whoever asks first for the one message of a half-open
// circuit gets it.
class SubscriberHealth {
 public:
  explicit SubscriberHealth(Context& context) : context_(context) {}
  // Writes the reports, ascending by sid, and reads the whole table after them.
  Task<std::vector<HealthSeen>> exchange(std::vector<HealthReport> reports);

 private:
  Context& context_;
};

}  // namespace eventhub::store
