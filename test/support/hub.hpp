#pragma once
// A process of the hub without the network: everything roles share, on an io_context that several
// of them can share in one test.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eventhub/store/context.hpp"
#include "support/catch.hpp"
#include "support/private_postgres.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

struct Hub {
  Hub(boost::asio::io_context& context, const TestDatabase& db, Config settings = {})
      : Hub(context, with_database(std::move(settings), db)) {}
  Hub(boost::asio::io_context& context, Config whole)
      : io(context),
        config(std::move(whole)),
        database(executor_of(io), config.database, metrics),
        wakeups(database, to_string(node)),
        partitions(database),
        subscribers(database) {
    test::run(io, database.load());
    test::run(io, partitions.reload());
  }

  static Config with_database(Config config, const TestDatabase& db) {
    config.database = db.config();
    config.worker_id = "test";
    return config;
  }

  boost::asio::io_context& io;
  Config config;
  SystemClock clock;
  Metrics metrics{10};
  Uuid node = uuid_random();
  store::Database database;
  store::Wakeups wakeups;
  store::Partitions partitions;
  store::Subscribers subscribers;
  store::Context context{executor_of(io), config,     clock,       metrics, database,
                         wakeups,         partitions, subscribers, node};
};

// Runs the io_context until `done`, which is asked after every slice; false when it took too long.
inline bool run_until(boost::asio::io_context& io, const std::function<bool()>& done,
                      Millis limit = Millis{20'000}, Millis slice = Millis{20}) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    io.restart();
    io.run_for(slice);
  }
  return true;
}

// A role at work until the end of its scope.
class Running {
 public:
  Running(Hub& hub, std::unique_ptr<store::Role> role) : hub_(hub), role_(std::move(role)) {
    auto failed = [this](std::exception_ptr) { failed_ = true; };
    spawn(executor_of(hub_.io), std::string(role_->name()), work(), failed);
  }
  ~Running() { stop(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // Stops the role; false when it does not end.
  bool stop(Millis limit = Millis{10'000}) {
    role_->stop();
    return run_until(
               hub_.io, [this] { return ended_ || failed_; }, limit) &&
           !failed_;
  }
  bool failed() const { return failed_; }

 private:
  Task<void> work() {
    co_await role_->run();
    ended_ = true;
  }
  Hub& hub_;
  std::unique_ptr<store::Role> role_;
  bool ended_ = false, failed_ = false;
};

// SQL that adds `count` subscribers of `pattern`.
inline std::string add_subscribers(int count, const std::string& pattern) {
  return "INSERT INTO subscribers (name, event_type, webhook_url, created_by) SELECT 'n' || i, '" +
         pattern + "', 'http://localhost:1/', 'test' FROM generate_series(1, " +
         std::to_string(count) + ") i;\n";
}

// SQL that adds `count` events as ingest does, in one commit under the ordering lock.
inline std::string add_events(int count, const std::string& type) {
  return "INSERT INTO events (id, event_type, version, payload) SELECT gen_random_uuid(), '" +
         type +
         "', 'v1', '{}' FROM (SELECT "
         "pg_advisory_xact_lock(current_schema()::regnamespace::oid::int, 1)"
         ") l, generate_series(1, " +
         std::to_string(count) + ");\n";
}

// True when every event up to now has been passed and every pair is there exactly once.
inline bool fanned_out(TestDatabase& db, const std::string& messages) {
  return db.query(
             "SELECT count(*) = " + messages +
             " AND (SELECT count(*) FROM (SELECT DISTINCT event_seq, sid FROM messages) m) = " +
             messages + " FROM messages") == "t";
}

}  // namespace eventhub::test
