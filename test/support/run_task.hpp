#pragma once
// Runs a coroutine to its end on an io_context of the test's own thread and hands back its result
// or its exception:   const pg::Result rows = test::run(io, connection->run(statement, params));
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "eventhub/core/async.hpp"

namespace eventhub::test {

// Nothing in a test takes so long; what does fails instead of standing still for ever.
inline constexpr Millis kRunMax{60'000};

// Runs what is begun to its end; false when it does not end.
inline bool runs_out(boost::asio::io_context& io, Millis limit = kRunMax) {
  io.restart();
  io.run_for(limit);
  return io.stopped();
}

inline void run(boost::asio::io_context& io, Task<void> task, Millis limit = kRunMax) {
  struct End {
    std::exception_ptr failure;
    bool done = false;
  };
  const auto end = std::make_shared<End>();  // a coroutine that is given up may end later
  boost::asio::co_spawn(io, std::move(task), [end](std::exception_ptr error) {
    end->failure = error;
    end->done = true;
  });
  io.restart();
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!end->done && io.run_one_until(give_up) > 0) {
  }
  if (end->done && end->failure) std::rethrow_exception(end->failure);
  if (end->done) return;
  if (io.stopped()) throw std::logic_error("the coroutine waits for nothing");
  throw std::runtime_error("the coroutine did not end within " + std::to_string(limit.count()) +
                           " ms");
}

template <class T>
Task<void> keep(Task<T> task, std::shared_ptr<std::optional<T>> result) {
  result->emplace(co_await std::move(task));
}

template <class T>
T run(boost::asio::io_context& io, Task<T> task) {
  const auto result = std::make_shared<std::optional<T>>();
  run(io, keep(std::move(task), result));
  return std::move(**result);
}

}  // namespace eventhub::test
