#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "eventhub/core/time.hpp"

namespace eventhub {

template <class T>
using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

// The one way to start a coroutine. An exception that leaves `task` is logged and counted under
// `name` and handed to `on_error` (nullptr: only logged). Cancellation is not an error.
void spawn(Executor executor, std::string name, Task<void> task,
           std::function<void(std::exception_ptr)> on_error = nullptr);

// Sleeps; returns early without an error when the executor's timers are cancelled.
Task<void> sleep_for(Micros duration);

// A condition that coroutines of one thread wait for: set() wakes all waiters; a set() with nobody
// waiting is kept until the next wait. Used as "there may be work": poll is the truth, this is the
// hurry.
class Wakeup {
 public:
  explicit Wakeup(const Executor& executor);
  void set();
  // Returns true when set, false when `limit` passed. Clears the flag.
  Task<bool> wait(Millis limit);

 private:
  struct State;
  Executor executor_;
  std::shared_ptr<State> state_;  // shared with the waiters, which may outlive this object
};

}  // namespace eventhub
