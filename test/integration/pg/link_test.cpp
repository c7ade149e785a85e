// What happens when the link, the server or time runs out; one call at a time; notifications.
#include <signal.h>

#include <chrono>

#include "pg_fixture.hpp"
#include "support/catch.hpp"

namespace eventhub::test {
namespace {

const Statement nap{"nap", "SELECT pg_sleep(30)"};
const Statement select_one{"one", "SELECT 1"};

using Clock = std::chrono::steady_clock;

Millis since(Clock::time_point start) {
  return std::chrono::duration_cast<Millis>(Clock::now() - start);
}

Task<void> pause_then(Millis pause, std::function<void()> action) {
  co_await sleep_for(pause);
  action();
}

Task<void> listen_on(pg::Connection& connection, std::vector<pg::Notification>& got, Millis limit) {
  auto notifications = co_await connection.wait_notifications(limit);
  for (auto& notification : notifications) got.push_back(std::move(notification));
}

}  // namespace

TEST_CASE_METHOD(PgFixture, "a session ended by the administrator during a call") {
  const auto connection = connect();
  const auto pid = std::to_string(connection->backend_pid());
  spawn(test::executor_of(io), "terminate", pause_then(Millis{100}, [this, pid] {
          db.query("SELECT pg_terminate_backend(" + pid + ")");
        }));
  const Error error = error_of(io, connection->run(nap, Params()));
  CHECK(error.sqlstate == "57P01");
  CHECK(error.connection_lost);
  CHECK_FALSE(error.outcome_unknown);  // the server said that it did not commit
  CHECK_FALSE(connection->healthy());
  const Error after = error_of(io, connection->run(select_one, Params()));
  CHECK(after.connection_lost);
  CHECK_FALSE(after.outcome_unknown);
}

TEST_CASE_METHOD(PgFixture, "a session ended while idle is seen before anything is sent") {
  const auto connection = connect();
  const auto other = connect();
  terminate(*connection);
  terminate(*other);
  CHECK_FALSE(other->healthy());
  const Error error = error_of(io, connection->run(select_one, Params()));
  CHECK(error.connection_lost);
  CHECK_FALSE(error.outcome_unknown);
  CHECK(error.sqlstate == "57P01");
}

TEST_CASE_METHOD(PgFixture, "a backend killed during a call leaves the outcome unknown") {
  const auto connection = connect();
  const auto idle = connect();
  const pid_t backend = connection->backend_pid();
  spawn(test::executor_of(io), "kill",
        pause_then(Millis{100}, [backend] { ::kill(backend, SIGKILL); }));
  const Error error = error_of(io, connection->run(nap, Params()));
  CHECK(error.connection_lost);
  CHECK(error.outcome_unknown);
  // The crash ends the idle session too: nothing was sent on it, so nothing is in doubt.
  for (int i = 0; i < 100 && idle->healthy(); ++i) run(io, sleep_for(Millis{50}));
  for (int i = 0; i < 100; ++i) {  // the server restarts its sessions
    try {
      connect();
      break;
    } catch (const Error&) {
      run(io, sleep_for(Millis{50}));
    }
  }
  const Error unsent = error_of(io, idle->run(select_one, Params()));
  CHECK(unsent.connection_lost);
  CHECK_FALSE(unsent.outcome_unknown);
}

TEST_CASE_METHOD(PgFixture, "a frozen server ends the call at its deadline") {
  const auto connection = connect(Millis{300});
  run(io, connection->run(select_one, Params()));
  const pid_t backend = connection->backend_pid();
  ::kill(backend, SIGSTOP);
  const auto start = Clock::now();
  const Error error = error_of(io, connection->run(select_one, Params()));
  ::kill(backend, SIGCONT);
  CHECK(since(start) >= Millis{290});
  CHECK(since(start) < Millis{2'000});
  CHECK(error.connection_lost);
  CHECK(error.outcome_unknown);
  CHECK_FALSE(connection->healthy());
}

TEST_CASE_METHOD(PgFixture, "a large call to a frozen server also ends at its deadline") {
  const auto connection = connect(Millis{300});
  const Statement length{"length", "SELECT length($1)"};
  const pid_t backend = connection->backend_pid();
  ::kill(backend, SIGSTOP);
  const std::string text(8 << 20, 'x');
  const Error error = error_of(io, connection->run(length, std::move(Params().text(text))));
  ::kill(backend, SIGCONT);
  CHECK(error.connection_lost);
}

TEST_CASE_METHOD(PgFixture, "a frozen server ends an attempt to connect at its deadline") {
  ::kill(PrivatePostgres::server().pid(), SIGSTOP);
  auto wanted = options();
  wanted.connect_timeout = Millis{200};
  const auto start = Clock::now();
  const Error error = error_of(io, pg::Connection::open(wanted, nullptr));
  ::kill(PrivatePostgres::server().pid(), SIGCONT);
  CHECK(since(start) < Millis{2'000});
  CHECK(error.connection_lost);
  CHECK_FALSE(error.outcome_unknown);
}

TEST_CASE_METHOD(PgFixture, "a second call at the same time is a mistake of the program") {
  const auto connection = connect();
  const Statement short_nap{"short_nap", "SELECT pg_sleep(0.3)"};
  bool first_done = false;
  const auto nap_once = [](pg::Connection& on, const Statement& statement,
                           bool& done) -> Task<void> {
    co_await on.run(statement, Params());
    done = true;
  };
  spawn(test::executor_of(io), "first", nap_once(*connection, short_nap, first_done));
  run(io, sleep_for(Millis{50}));
  CHECK_THROWS_AS(run(io, connection->run(select_one, Params())), std::logic_error);
  run(io, sleep_for(Millis{600}));
  CHECK(first_done);  // the first call is not harmed
}

TEST_CASE_METHOD(PgFixture, "close() fails a running call at once") {
  const auto connection = connect();
  spawn(test::executor_of(io), "close",
        pause_then(Millis{50}, [&connection] { connection->close(); }));
  const auto start = Clock::now();
  const Error error = error_of(io, connection->run(nap, Params()));
  CHECK(error.connection_lost);
  CHECK(since(start) < Millis{5'000});
}

TEST_CASE_METHOD(PgFixture, "refused and misdirected connections say why") {
  auto wanted = options();
  wanted.keywords.emplace_back("dbname", "no_such_database");
  const Error missing = error_of(io, pg::Connection::open(wanted, nullptr));
  CHECK(missing.connection_lost);
  CHECK_THAT(missing.what(), Catch::Matchers::Contains("no_such_database"));
  wanted.keywords.emplace_back("host", "127.0.0.1");
  wanted.keywords.emplace_back("port", "1");
  const Error refused = error_of(io, pg::Connection::open(wanted, nullptr));
  CHECK_THAT(refused.what(), Catch::Matchers::Contains("refused"));
  wanted.keywords.emplace_back("host", "localhost");
  const Error by_name = error_of(io, pg::Connection::open(wanted, nullptr));
  CHECK_THAT(by_name.what(), Catch::Matchers::Contains("refused"));
  wanted.keywords.emplace_back("host", "no-such-host.invalid");
  const Error unresolved = error_of(io, pg::Connection::open(wanted, nullptr));
  CHECK_THAT(unresolved.what(), Catch::Matchers::Contains("no-such-host.invalid"));
}

TEST_CASE_METHOD(PgFixture, "settings reach the session whatever their characters") {
  auto wanted = options();
  wanted.settings = {{"search_path", "\"my \\ schema\""}, {"statement_timeout", "150"}};
  const auto connection = run(io, pg::Connection::open(wanted, nullptr));
  CHECK(select(*connection, "SHOW search_path").text(0, 0) == "\"my \\ schema\"");
  const Error error = error_of(io, connection->run(nap, Params()));
  CHECK(error.sqlstate == "57014");
  CHECK_FALSE(error.connection_lost);
}

TEST_CASE_METHOD(PgFixture, "notifications arrive, also those that came during a call") {
  const auto listener = connect();
  const auto sender = connect();
  run_sql(*listener, "LISTEN channel");
  run_sql(*sender, "NOTIFY channel, 'first'");
  run(io, listener->run(select_one, Params()));
  const auto first = run(io, listener->wait_notifications(Millis{5'000}));
  REQUIRE(first.size() == 1);
  CHECK(first[0].channel == "channel");
  CHECK(first[0].payload == "first");
  CHECK(first[0].backend_pid == sender->backend_pid());

  const auto start = Clock::now();
  CHECK(run(io, listener->wait_notifications(Millis{50})).empty());
  CHECK(since(start) >= Millis{45});

  std::vector<pg::Notification> got;
  spawn(test::executor_of(io), "listen", listen_on(*listener, got, Millis{5'000}));
  run_sql(*sender, "NOTIFY channel, 'second'");
  run(io, sleep_for(Millis{200}));
  REQUIRE(got.size() == 1);
  CHECK(got[0].payload == "second");
}

TEST_CASE_METHOD(PgFixture, "waiting for notifications ends with close() and with the link") {
  auto listener = connect();
  spawn(test::executor_of(io), "close", pause_then(Millis{50}, [&listener] { listener->close(); }));
  CHECK(run(io, listener->wait_notifications(Millis{10'000})).empty());
  CHECK_FALSE(listener->healthy());

  listener = connect();
  const auto pid = std::to_string(listener->backend_pid());
  spawn(test::executor_of(io), "terminate", pause_then(Millis{50}, [this, pid] {
          db.query("SELECT pg_terminate_backend(" + pid + ")");
        }));
  CHECK(error_of(io, listener->wait_notifications(Millis{10'000})).connection_lost);
}

TEST_CASE_METHOD(PgFixture, "a connection destroyed during a call harms nothing") {
  auto connection = connect();
  bool failed = false;
  spawn(test::executor_of(io), "call", [](pg::Connection& on, bool& done) -> Task<void> {
    try {
      co_await on.run(nap, Params());
    } catch (const Error& error) {
      done = error.connection_lost;
    }
  }(*connection, failed));
  run(io, sleep_for(Millis{50}));
  connection.reset();
  run(io, sleep_for(Millis{50}));
  CHECK(failed);
}

}  // namespace eventhub::test
