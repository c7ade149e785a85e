// Sessions are set up as promised, the pool keeps its bound, load() finds what is wrong.
#include "eventhub/store/database.hpp"

#include <chrono>
#include <memory>
#include <optional>

#include "pg_fixture.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using eventhub::test::error_of;
using pg::Error;
using pg::Params;
using pg::Statement;
using store::Database;
using store::Profile;
using test::run;

namespace {

struct DatabaseFixture {
  test::TestDatabase db;
  boost::asio::io_context io;
  Metrics metrics{10};

  std::string show(pg::Connection& connection, const std::string& setting) {
    const Statement statement{"show_" + setting, "SELECT current_setting('" + setting + "')"};
    const pg::Result result = run(io, connection.run(statement, Params()));
    return std::string(result.text(0, 0));
  }
};

Task<void> hold_lease(Database& database, Millis time, int& most, int& now) {
  auto lease = co_await database.lease();
  most = std::max(most, ++now);
  co_await sleep_for(time);
  --now;
}

}  // namespace

TEST_CASE_METHOD(DatabaseFixture, "each profile has the settings it promises") {
  Database database(test::executor_of(io), db.config(), metrics, Millis{7'000});
  const auto general = run(io, database.connect(Profile::general));
  CHECK(show(*general, "application_name") == "eventhubd");
  CHECK(show(*general, "search_path") == "\"eventhub\"");
  CHECK(show(*general, "client_encoding") == "UTF8");
  CHECK(show(*general, "statement_timeout") == "10s");
  CHECK(show(*general, "lock_timeout") == "2s");
  CHECK(show(*general, "idle_in_transaction_session_timeout") == "10s");
  CHECK(show(*general, "TimeZone") == "UTC");
  CHECK(show(*general, "jit") == "off");
  CHECK(show(*general, "synchronous_commit") == "on");
  CHECK(show(*general, "enable_seqscan") == "on");
  CHECK(show(*general, "idle_session_timeout") == "0");
  const auto hot = run(io, database.connect(Profile::hot));
  CHECK(show(*hot, "plan_cache_mode") == "force_generic_plan");
  CHECK(show(*hot, "enable_seqscan") == "off");
  CHECK(show(*hot, "enable_bitmapscan") == "off");
  CHECK(show(*hot, "idle_session_timeout") == "0");
  const auto ingest = run(io, database.connect(Profile::ingest));
  CHECK(show(*ingest, "plan_cache_mode") == "force_generic_plan");
  CHECK(show(*ingest, "enable_seqscan") == "off");
  CHECK(show(*ingest, "enable_bitmapscan") == "on");
  const auto lock = run(io, database.connect(Profile::lock));
  CHECK(show(*lock, "enable_seqscan") == "off");
  CHECK(show(*lock, "idle_session_timeout") == "7s");
}

TEST_CASE_METHOD(DatabaseFixture, "a URL reaches the same database") {
  DatabaseConfig config = db.config();
  std::string socket;
  for (const char c : config.host) socket += c == '/' ? "%2F" : std::string(1, c);
  config.url = "postgresql://eventhub@" + socket + "/" + config.name;
  config.host = "no-such-host.invalid";
  config.name = "no_such_database";
  Database database(test::executor_of(io), config, metrics);
  const auto connection = run(io, database.connect(Profile::general));
  CHECK(show(*connection, "search_path") == "\"eventhub\"");

  config.url = "postgresql://eventhub:secret@[nonsense";
  Database broken(test::executor_of(io), config, metrics);
  try {
    run(io, broken.connect(Profile::general));
    FAIL("a broken URL was taken");
  } catch (const std::runtime_error& error) {
    CHECK_THAT(error.what(), !Catch::Matchers::Contains("secret"));
  }
}

TEST_CASE_METHOD(DatabaseFixture, "a failed connection says where it went, without the password") {
  DatabaseConfig config = db.config();
  config.host = "127.0.0.1";
  config.port = 1;
  config.name = "shop";
  config.user = "alice";
  config.password = "hunter2";
  Database database(test::executor_of(io), config, metrics);
  const Error error = error_of(io, database.connect(Profile::general));
  CHECK(error.connection_lost);
  CHECK_FALSE(error.outcome_unknown);
  using Catch::Matchers::Contains;
  CHECK_THAT(error.what(), Contains("127.0.0.1:1") && Contains("shop") && Contains("alice"));
  CHECK_THAT(error.what(), Contains("--embedded") && !Contains("hunter2"));
  const Error lease = error_of(io, database.lease());
  CHECK(lease.connection_lost);
}

TEST_CASE_METHOD(DatabaseFixture, "the pool never opens more than its bound and serves all") {
  DatabaseConfig config = db.config();
  config.connections_max = 3;
  Database database(test::executor_of(io), config, metrics);
  int most = 0, now = 0;
  for (int i = 0; i < 12; ++i) {
    spawn(test::executor_of(io), "holder", hold_lease(database, Millis{100}, most, now));
  }
  run(io, sleep_for(Millis{200}));
  CHECK(db.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'eventhubd'") ==
        "3");
  REQUIRE(test::runs_out(io));
  CHECK(most == 3);
  CHECK(now == 0);
}

TEST_CASE_METHOD(DatabaseFixture, "waiting for a connection ends with 53300") {
  DatabaseConfig config = db.config();
  config.connections_max = 2;
  config.connect_timeout = Millis{2'000};  // also to connect, on a busy machine
  Database database(test::executor_of(io), config, metrics);
  auto dedicated = run(io, database.connect(Profile::general));
  {
    auto lease = run(io, database.lease());
    const Error error = error_of(io, database.lease());
    CHECK(error.sqlstate == "53300");
    CHECK_FALSE(error.outcome_unknown);
    CHECK(error_of(io, database.connect(Profile::hot)).sqlstate == "53300");
  }
  // The pooled connection that is idle now makes room for a dedicated one.
  const auto second = run(io, database.connect(Profile::hot));
  CHECK(second->healthy());
  dedicated.reset();
  auto lease = run(io, database.lease());
  CHECK(lease->healthy());
}

TEST_CASE_METHOD(DatabaseFixture, "broken and unfinished connections do not go back to the pool") {
  Database database(test::executor_of(io), db.config(), metrics);
  const auto pid_of_lease = [&] {
    auto lease = run(io, database.lease());
    return lease->backend_pid();
  };
  const int first = pid_of_lease();
  CHECK(pid_of_lease() == first);
  db.query("SELECT pg_terminate_backend(" + std::to_string(first) + ", 5000)");
  const int second = pid_of_lease();
  CHECK(second != first);
  {
    auto lease = run(io, database.lease());
    run(io, lease->exec("BEGIN"));
  }
  CHECK(pid_of_lease() != second);
}

TEST_CASE_METHOD(DatabaseFixture, "load() learns the lock space and refuses what cannot work") {
  Database database(test::executor_of(io), db.config(), metrics);
  run(io, database.load());
  CHECK(std::to_string(database.lock_space()) ==
        db.query("SELECT oid FROM pg_namespace WHERE nspname = 'eventhub'"));

  DatabaseConfig config = db.config();
  config.schema = "other";
  Database without_schema(test::executor_of(io), config, metrics);
  CHECK_THROWS_WITH(run(io, without_schema.load()), Catch::Matchers::Contains("migrate"));

  config = db.config();
  config.connections_max = 1'000;
  Database greedy(test::executor_of(io), config, metrics);
  CHECK_THROWS_WITH(run(io, greedy.load()), Catch::Matchers::Contains("connections_max"));
}

TEST_CASE_METHOD(DatabaseFixture, "a database that is not UTF8 is refused") {
  auto& server = test::PrivatePostgres::server();
  server.psql("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'");
  server.psql("latin", "CREATE SCHEMA eventhub");
  DatabaseConfig config = db.config();
  config.name = "latin";
  {
    Database database(test::executor_of(io), config, metrics);
    CHECK_THROWS_WITH(run(io, database.load()), Catch::Matchers::Contains("UTF8"));
  }
  server.drop_database("latin");
}

TEST_CASE_METHOD(DatabaseFixture, "connections may outlive the Database") {
  pg::ConnectionPtr connection;
  {
    Database database(test::executor_of(io), db.config(), metrics);
    connection = run(io, database.connect(Profile::lock));
  }
  CHECK(show(*connection, "jit") == "off");
}

TEST_CASE_METHOD(DatabaseFixture, "a connection that outlives the pool is only closed") {
  auto database = std::make_unique<Database>(test::executor_of(io), db.config(), metrics);
  std::optional<Database::Lease> lease(run(io, database->lease()));
  database.reset();
  lease.reset();
  CHECK_FALSE(lease);
}
