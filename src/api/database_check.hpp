#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "eventhub/store/context.hpp"

namespace eventhub::api {

// Whether the database answers: one `SELECT 1` at a time, its result shared by all who ask and good
// for a second. Nobody waits longer than two seconds, whatever the database does.
class DatabaseCheck : public std::enable_shared_from_this<DatabaseCheck> {
 public:
  explicit DatabaseCheck(store::Context& context);
  Task<bool> answers();

 private:
  static Task<void> ask(std::shared_ptr<DatabaseCheck> self);
  bool fresh() const;

  store::Context& context_;
  boost::asio::steady_timer limit_;  // runs while asking; its end wakes everyone
  bool asking_ = false;
  bool result_ = false;
  bool known_ = false;
  Mono known_at_{};
};

}  // namespace eventhub::api
