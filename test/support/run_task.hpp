#pragma once
// Runs a coroutine to its end on an io_context of the test's own thread and hands back its result
// or its exception:   const pg::Result rows = test::run(io, connection->run(statement, params));
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>

#include "eventhub/core/async.hpp"

namespace eventhub::test {

// Nothing in a test takes so long; what does fails instead of standing still for ever.
inline constexpr Millis kRunMax{60'000};

boost::asio::any_io_executor executor_of(boost::asio::io_context& io);

// Runs what is begun to its end; false when it does not end.
bool runs_out(boost::asio::io_context& io, Millis limit = kRunMax);

void run(boost::asio::io_context& io, Task<void> task, Millis limit = kRunMax);

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
