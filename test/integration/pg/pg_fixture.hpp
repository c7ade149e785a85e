#pragma once
#include <boost/asio/io_context.hpp>
#include <string>

#include "eventhub/core/metrics.hpp"
#include "eventhub/pg/connection.hpp"
#include "support/private_postgres.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

using pg::Call;
using pg::Error;
using pg::Params;
using pg::Result;
using pg::Statement;

// A database and a connection to it.
struct PgFixture {
  PgFixture() : db(empty) {}

  pg::ConnectOptions options(Millis call_timeout = Millis{15'000}) const {
    pg::ConnectOptions options;
    const DatabaseConfig config = db.config();
    options.keywords = {{"host", config.host},
                        {"port", std::to_string(config.port)},
                        {"dbname", config.name},
                        {"user", config.user},
                        {"client_encoding", "UTF8"}};
    options.call_timeout = call_timeout;
    return options;
  }

  pg::ConnectionPtr connect(Millis call_timeout = Millis{15'000}) {
    return run(io, pg::Connection::open(options(call_timeout), nullptr));
  }

  void run_sql(pg::Connection& connection, const std::string& sql) {
    run(io, connection.exec(sql));
  }

  // A statement without parameters, in text.
  pg::Result select(pg::Connection& connection, const std::string& text) {
    const pg::Statement statement{"test_" + std::to_string(++statements), text};
    return run(io, connection.run(statement, pg::Params()));
  }

  // Returns when the session is gone.
  void terminate(const pg::Connection& connection) {
    const std::string pid = std::to_string(connection.backend_pid());
    db.query("SELECT pg_terminate_backend(" + pid + ", 5000)");
  }

  TestDatabase db;
  boost::asio::io_context io;
  int statements = 0;
};

// The pg::Error a task ends with; fails the test when there is none.
template <class T>
pg::Error error_of(boost::asio::io_context& io, Task<T> task) {
  try {
    run(io, std::move(task));
  } catch (const pg::Error& error) {
    return error;
  }
  throw std::logic_error("no pg::Error");
}

}  // namespace eventhub::test
