// Schema migrations against a real server: from nothing to head, killed, raced, and refused.
#include <cstdio>
#include <fstream>
#include <thread>

#include "integration/store/migrate_fixture.hpp"
#include "support/catch.hpp"
#include "support/shell.hpp"

namespace eventhub {
namespace {

using Catch::Matchers::Contains;
using test::MigratingProcess;
using test::TestDatabase;

const int kAll = static_cast<int>(store::migrations().size());

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// Tables, views, functions, triggers and rows of the small tables: equal means the same schema.
std::string shape(TestDatabase& db) {
  return db.query(
      "SELECT string_agg(relkind::text || relname::text, ' ' ORDER BY relname) FROM pg_class"
      " WHERE relnamespace = 'eventhub'::regnamespace;"
      "SELECT string_agg(pg_get_functiondef(oid), ' ' ORDER BY oid::regprocedure::text) FROM "
      "pg_proc"
      " WHERE pronamespace = 'eventhub'::regnamespace;"
      "SELECT count(*), min(lwm) FROM shards; SELECT count(*) FROM sequencer; SELECT * FROM "
      "settings;"
      "SELECT number, lower, upper FROM partitions; SELECT number, name, checksum FROM "
      "schema_migrations;");
}

const std::string& whole_shape() {
  static const std::string expected = [] {
    TestDatabase db(test::empty);
    test::migrate(db.config());
    return shape(db);
  }();
  return expected;
}

// Until so many sessions wait for the end of another's transaction.
void await_waiting(TestDatabase& db, int wanted) {
  const std::string sql =
      "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'";
  for (int i = 0; i < 200; ++i) {
    if (db.query(sql) == std::to_string(wanted)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  FAIL("never came: " << sql);
}

// A transaction left open in which the last table of the first migration was made: whoever migrates
// comes far and then waits.
struct InTheWay {
  explicit InTheWay(TestDatabase& db)
      : metrics(10), database(test::executor_of(io), db.config(), metrics) {
    db.sql("CREATE SCHEMA eventhub");
    connection = test::run(io, database.connect(store::Profile::general));
    test::run(io, connection->exec("BEGIN; CREATE TABLE eventhub.outbox (n int)"));
  }
  void gives_way() { test::run(io, connection->exec("ROLLBACK")); }
  boost::asio::io_context io;
  Metrics metrics;
  store::Database database;
  pg::ConnectionPtr connection;
};

// Exits with 100 + applied.
TEST_CASE("child: migrates", "[.]") {
  test::in_child([] {
    const DatabaseConfig config =
        test::database_config(test::parameter("CHILD_HOST"), test::parameter("CHILD_DATABASE"));
    return 100 + test::migrate(config);
  });
}

TEST_CASE("migrate: from nothing to head, then nothing to do", "[migrate]") {
  TestDatabase db(test::empty);
  CHECK(test::migrate(db.config(), 500) == kAll);
  CHECK(test::migrate(db.config(), 700) == 0);
  CHECK(db.query("SELECT value FROM settings WHERE name = 'partition_rows'") == "500");
  CHECK(db.query("SELECT lower, upper FROM partitions ORDER BY 1") == "0|500\n500|1000");
  CHECK(db.query("SELECT count(*) FROM schema_migrations WHERE applied_at <= now()") ==
        std::to_string(kAll));
  CHECK_NOTHROW(test::check_schema(db.config()));
}

TEST_CASE("migrate: the recorded checksum is sha256sum's", "[migrate]") {
  TestDatabase db(test::empty);
  test::migrate(db.config());
  for (const store::Migration& migration : store::migrations()) {
    char file[256];
    std::snprintf(file, sizeof file, "%s/migrations/%04d_%s.sql", EVENTHUB_SOURCE_DIR,
                  migration.number, migration.name.c_str());
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    CHECK(text.str() == migration.sql);
    const std::string sum = test::shell("sha256sum < " + std::string(file)).substr(0, 64);
    REQUIRE(sum.size() == 64);
    CHECK(db.query("SELECT checksum FROM schema_migrations WHERE number = " +
                   std::to_string(migration.number)) == sum);
  }
}

TEST_CASE("migrate: kill -9 in the middle, then again", "[migrate]") {
  TestDatabase db(test::empty);
  InTheWay obstacle(db);
  MigratingProcess killed(db.config());
  await_waiting(db, 1);
  killed.kill9();
  CHECK(db.query("SELECT to_regclass('eventhub.settings')") == "");
  obstacle.gives_way();
  // The server knows nothing of the death yet and may finish the migration it was given.
  CHECK(test::migrate(db.config()) >= kAll - 1);
  CHECK(shape(db) == whole_shape());
}

TEST_CASE("migrate: nothing stays of a migration whose session ended in the middle", "[migrate]") {
  TestDatabase db(test::empty);
  InTheWay obstacle(db);
  MigratingProcess failed(db.config());
  await_waiting(db, 1);
  db.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted");
  CHECK(failed.wait() < 0);
  obstacle.gives_way();
  CHECK(db.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'eventhub'::regnamespace") ==
        "0");
  CHECK(test::migrate(db.config()) == kAll);
  CHECK(shape(db) == whole_shape());
}

TEST_CASE("migrate: kill -9 at any time, then again", "[migrate]") {
  for (int delay_ms = 10; delay_ms <= 130; delay_ms += 30) {
    TestDatabase db(test::empty);
    MigratingProcess killed(db.config());
    killed.await_begin();
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    killed.kill9();
    test::migrate(db.config());
    REQUIRE(shape(db) == whole_shape());
  }
}

TEST_CASE("migrate: what is in the way is waited for in short turns", "[migrate]") {
  TestDatabase db(test::empty);
  InTheWay obstacle(db);
  MigratingProcess patient(db.config());
  await_waiting(db, 1);
  await_waiting(db, 0);
  obstacle.gives_way();
  CHECK(patient.wait() == kAll);
  CHECK(shape(db) == whole_shape());
}

TEST_CASE("migrate: several processes at once, one does it", "[migrate]") {
  TestDatabase db(test::empty);
  MigratingProcess a(db.config());
  MigratingProcess b(db.config());
  MigratingProcess c(db.config());
  const std::vector<int> applied{a.wait(), b.wait(), c.wait()};
  CHECK(std::count(applied.begin(), applied.end(), kAll) == 1);
  CHECK(std::count(applied.begin(), applied.end(), 0) == 2);
  CHECK(shape(db) == whole_shape());
}

TEST_CASE("migrate: refuses what does not come from its migrations", "[migrate]") {
  TestDatabase db(test::empty);
  test::migrate(db.config());
  std::string expected;
  SECTION("a newer schema") {
    db.sql("INSERT INTO schema_migrations VALUES (9000, 'future', 'abc')");
    expected = "9000_future, which this eventhubd";
  }
  SECTION("another text") {
    db.sql("UPDATE schema_migrations SET checksum = 'abc' WHERE number = 1");
    expected = "migration 0001_tables of schema eventhub was applied from another text";
  }
  const std::string before = shape(db);
  CHECK_THAT(message_of([&] { test::migrate(db.config()); }), Contains(expected));
  CHECK_THAT(message_of([&] { test::check_schema(db.config()); }), Contains(expected));
  CHECK(shape(db) == before);
}

TEST_CASE("check_schema: asks for eventhubd migrate", "[migrate]") {
  TestDatabase db(test::empty);
  CHECK_THAT(message_of([&] { test::check_schema(db.config()); }),
             Contains("run `eventhubd migrate`"));
  test::migrate(db.config());
  db.sql("DELETE FROM schema_migrations WHERE number = 2");
  CHECK_THAT(message_of([&] { test::check_schema(db.config()); }),
             Contains("lacks migration 0002_people"));
}

TEST_CASE("migrate: an encoding other than UTF8 is refused", "[migrate]") {
  TestDatabase db(test::empty);
  db.sql("CREATE DATABASE not_utf8 TEMPLATE template0 ENCODING 'SQL_ASCII'");
  DatabaseConfig config = db.config();
  config.name = "not_utf8";
  CHECK_THAT(message_of([&] { test::migrate(config); }),
             Contains("database not_utf8 has the encoding SQL_ASCII, eventhubd needs UTF8"));
  db.sql("DROP DATABASE not_utf8 WITH (FORCE)");
}

TEST_CASE("migrate: a role without the right to create schemas", "[migrate]") {
  TestDatabase db(test::empty);
  db.sql("DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN");
  DatabaseConfig config = db.config();
  config.user = "limited";
  CHECK_THAT(message_of([&] { test::migrate(config); }),
             Contains("CREATE SCHEMA \"eventhub\" AUTHORIZATION"));
  db.sql("CREATE SCHEMA eventhub AUTHORIZATION limited");
  CHECK(test::migrate(config) == kAll);
  // At head it needs to create nothing.
  db.sql("ALTER SCHEMA eventhub OWNER TO eventhub; GRANT USAGE ON SCHEMA eventhub TO limited");
  CHECK(test::migrate(config) == 0);
  db.sql("DROP OWNED BY limited CASCADE");
}

TEST_CASE("schema_sql: psql runs it, and the hub accepts the result", "[migrate]") {
  for (const std::string schema : {"eventhub", "odd \"name's"}) {
    TestDatabase db(test::empty);
    test::PrivatePostgres::server().psql(db.name(), store::schema_sql(schema));
    DatabaseConfig config = db.config();
    config.schema = schema;
    CHECK(test::migrate(config) == 0);
    CHECK_NOTHROW(test::check_schema(config));
    // Twice: refused as a whole.
    CHECK_THROWS(test::PrivatePostgres::server().psql(db.name(), store::schema_sql(schema)));
    CHECK_NOTHROW(test::check_schema(config));
  }
}

}  // namespace
}  // namespace eventhub
