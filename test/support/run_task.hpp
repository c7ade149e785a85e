#pragma once
// Runs a coroutine to its end on an io_context of the test's own thread and hands back its result
// or its exception:   const pg::Result rows = test::run(io, connection->run(statement, params));
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <stdexcept>

#include "eventhub/core/async.hpp"

namespace eventhub::test {

inline void run(boost::asio::io_context& io, Task<void> task) {
  std::exception_ptr failure;
  bool done = false;
  boost::asio::co_spawn(io, std::move(task), [&](std::exception_ptr error) {
    failure = error;
    done = true;
  });
  io.restart();
  while (!done && io.run_one() > 0) {
  }
  if (!done) throw std::logic_error("the coroutine waits for nothing");
  if (failure) std::rethrow_exception(failure);
}

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}

template <class T>
T run(boost::asio::io_context& io, Task<T> task) {
  std::optional<T> result;
  run(io, keep(std::move(task), result));
  return std::move(*result);
}

}  // namespace eventhub::test
