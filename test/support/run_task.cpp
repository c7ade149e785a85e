// Here and not in the header: each use of Asio's templates costs every file that includes them.
#include "support/run_task.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <string>

namespace eventhub::test {

boost::asio::any_io_executor executor_of(boost::asio::io_context& io) {
  return io.get_executor();
}

bool runs_out(boost::asio::io_context& io, Millis limit) {
  io.restart();
  io.run_for(limit);
  return io.stopped();
}

void run(boost::asio::io_context& io, Task<void> task, Millis limit) {
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

}  // namespace eventhub::test
