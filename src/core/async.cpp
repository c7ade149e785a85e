// spawn(), sleep_for() and Wakeup: the only code that starts coroutines or waits for time.
#include "eventhub/core/async.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>

#include "eventhub/core/log.hpp"

namespace asio = boost::asio;

namespace eventhub {
namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

bool cancelled(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& system) {
    return system.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

void report(const std::string& name, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    log::error("a task ended with an error", {{"task", name}, {"error", known.what()}});
  } catch (...) {
    log::error("a task ended with an unknown error", {{"task", name}});
  }
}

}  // namespace

void spawn(Executor executor, std::string name, Task<void> task,
           std::function<void(std::exception_ptr)> on_error) {
  auto done = [name = std::move(name), on_error = std::move(on_error)](std::exception_ptr error) {
    if (!error || cancelled(error)) return;
    report(name, error);
    if (on_error) on_error(error);
  };
  asio::co_spawn(executor, std::move(task), std::move(done));
}

Task<void> sleep_for(Millis duration) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, duration);
  co_await timer.async_wait(as_tuple);
}

Wakeup::Wakeup(const Executor& executor) : timer_(executor) {}

void Wakeup::set() {
  set_ = true;
  timer_.cancel();
}

// A cancelled timer wakes every waiter. The flag decides what the waiter is told, so a set() that
// comes between the wake-up and the resumption is not lost.
Task<bool> Wakeup::wait(Millis limit) {
  if (!set_) {
    timer_.expires_after(limit);
    co_await timer_.async_wait(as_tuple);
  }
  const bool was_set = set_;
  set_ = false;
  co_return was_set;
}

}  // namespace eventhub
