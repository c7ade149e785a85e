// spawn(), sleep_for() and Wakeup: the only code that starts coroutines or waits for time.
#include "eventhub/core/async.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <list>

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

Task<void> sleep_for(Micros duration) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, duration);
  co_await timer.async_wait(as_tuple);
}

struct Wakeup::State {
  struct Waiter {
    asio::steady_timer timer;
    bool woken = false;
  };
  std::list<Waiter> waiters;
  bool set = false;
};

Wakeup::Wakeup(const Executor& executor) : executor_(executor), state_(std::make_shared<State>()) {}

void Wakeup::set() {
  state_->set = state_->waiters.empty();
  for (State::Waiter& waiter : state_->waiters) {
    waiter.woken = true;
    waiter.timer.cancel();
  }
}

// Every waiter has a timer of its own; it counts as waiting until it was resumed, so that a set()
// in between is not kept for later as well.
Task<bool> Wakeup::wait(Millis limit) {
  const std::shared_ptr<State> state = state_;
  if (state->set) {
    state->set = false;
    co_return true;
  }
  const auto self = state->waiters.insert(state->waiters.end(),
                                          State::Waiter{asio::steady_timer(executor_, limit)});
  co_await self->timer.async_wait(as_tuple);
  const bool woken = self->woken;
  state->waiters.erase(self);
  co_return woken;
}

}  // namespace eventhub
