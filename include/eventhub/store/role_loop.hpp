#pragma once
#include <functional>
#include <string>

#include "eventhub/store/context.hpp"

namespace eventhub::store {

// The life of a role that works on one database session: it serves until it is told to stop; after
// a fault it waits, longer each time, and begins anew.
class RoleLoop {
 public:
  RoleLoop(Context& context, std::string role, Millis backoff_floor, Millis backoff_max);

  // `serve` ends when stopping(), or with an exception.
  Task<void> run(std::function<Task<void>()> serve);
  void stop();
  bool stopping() const { return stopping_; }
  // Ends early when told to stop.
  Task<void> pause(Millis limit);
  // The session does its work: the next fault is the first again.
  void succeeded();
  // Asks for the session's lock so often: true with it, false when told to stop.
  template <class Session>
  Task<bool> stand_by(Session& session, Millis every) {
    while (!stopping()) {
      const bool owner = co_await session.try_acquire();
      succeeded();
      if (owner) co_return true;
      co_await pause(every);
    }
    co_return false;
  }

 private:
  Context& context_;
  std::string role_;
  Millis floor_, max_, backoff_;
  Wakeup stop_;
  bool stopping_ = false;
};

}  // namespace eventhub::store
