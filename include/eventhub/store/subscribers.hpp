#pragma once
#include <cstdint>
#include <string>

#include "eventhub/core/secret_box.hpp"
#include "eventhub/core/subscriber.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

// The process's copy of `subscribers`. Feeds return subscribers_version from their own snapshot; a
// caller that sees another version than current()->version calls refresh() before it matches or
// sends.
class Subscribers {
 public:
  // `box` opens the secrets of rows, and outlives this.
  explicit Subscribers(Database& database, const SecretBox& box = plain_box())
      : database_(database), box_(box), loaded_(database.executor()) {}
  const SecretBox& box() const { return box_; }
  const SubscriberSetPtr& current() const { return current_; }
  // Loads when the table's version differs from the copy's. What it returns is at least as new as
  // the table was at the call; concurrent calls share one load. A row that cannot be used is loaded
  // as inactive, with an error in the log; one whose secrets cannot be opened as paused.
  Task<SubscriberSetPtr> refresh();
  // 410 Gone: sets paused with a reason; only when it is not paused already.
  Task<void> pause(std::int32_t sid, std::string reason);

 private:
  Task<void> load();
  Database& database_;
  const SecretBox& box_;
  SubscriberSetPtr current_ = std::make_shared<SubscriberSet>();
  Wakeup loaded_;
  bool loading_ = false;
  std::int64_t begun_ = 0;     // loads begun
  std::int64_t finished_ = 0;  // the newest load that succeeded
};

}  // namespace eventhub::store
