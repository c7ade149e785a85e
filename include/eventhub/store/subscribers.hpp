#pragma once
#include <cstdint>

#include "eventhub/core/subscriber.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

// The process's copy of `subscribers`. Feeds return subscribers_version from their own snapshot; a caller
// that sees another version than current()->version calls refresh() before it matches or sends.
class Subscribers {
 public:
  explicit Subscribers(Database& database) : database_(database) {}
  const SubscriberSetPtr& current() const { return current_; }
  // Loads when the table's version differs from the copy's; concurrent calls share one load.
  Task<SubscriberSetPtr> refresh();
  // 410 Gone: sets paused with a reason; only when it is not paused already.
  Task<void> pause(std::int32_t sid, std::string reason);

 private:
  Database& database_;
  SubscriberSetPtr current_ = std::make_shared<SubscriberSet>();
};

}  // namespace eventhub::store
