// Partitions: made in time, by one of many, without standing in anybody's way; and found.
#include "eventhub/store/partitions.hpp"

#include <list>

#include "integration/store/migrate_fixture.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

using store::Partition;
using store::Partitions;
using test::TestDatabase;

// A process that looks at partitions of 100 events.
struct Process {
  explicit Process(const DatabaseConfig& config)
      : metrics(10), database(test::executor_of(io), config, metrics), partitions(database) {
    test::run(io, database.load());
  }
  std::optional<Partition> find(std::int64_t seq) { return test::run(io, partitions.find(seq)); }
  std::optional<Partition> next_from(std::int64_t seq) {
    return test::run(io, partitions.next_from(seq));
  }
  void ensure(std::int64_t seq) { test::run(io, partitions.ensure(seq)); }
  boost::asio::io_context io;
  Metrics metrics;
  store::Database database;
  Partitions partitions;
};

std::string insert_event(std::int64_t seq) {
  return "INSERT INTO events (event_seq, id, event_type, version, payload) VALUES (" +
         std::to_string(seq) + ", gen_random_uuid(), 'a', 'v1', '{}');";
}

std::string bounds(TestDatabase& db) {
  return db.query(
      "SELECT string_agg(number || ':' || lower || '-' || upper, ' ' ORDER BY number) "
      "FROM partitions");
}

struct MigratedDatabase : TestDatabase {
  MigratedDatabase() : TestDatabase(test::empty) { test::migrate(config(), 100); }
};

TEST_CASE("partitions: found by event_seq, and made up to it", "[partitions]") {
  MigratedDatabase db;
  Process process(db.config());
  CHECK_FALSE(process.partitions.cached(5));
  CHECK(process.find(0)->number == 0);
  CHECK(process.find(99)->suffix() == "_p0");
  CHECK(process.find(100)->number == 1);
  CHECK(process.partitions.cached(5)->upper == 100);
  CHECK_FALSE(process.find(200));
  process.ensure(250);
  CHECK(bounds(db) == "0:0-100 1:100-200 2:200-300 3:300-400");
  CHECK(process.partitions.cached(250)->lower == 200);
  process.ensure(250);
  CHECK(process.partitions.all().size() == 4);
  CHECK(process.next_from(0)->number == 0);
  CHECK(process.next_from(1)->number == 1);
  CHECK_FALSE(process.next_from(301));
}

TEST_CASE("partitions: what another process made is seen", "[partitions]") {
  MigratedDatabase db;
  Process one(db.config());
  Process other(db.config());
  CHECK_FALSE(one.find(200));
  other.ensure(200);
  CHECK(one.find(200)->number == 2);
  CHECK(one.next_from(300)->number == 3);
}

TEST_CASE("partitions: after a dropped range the next one is found", "[partitions]") {
  MigratedDatabase db;
  Process process(db.config());
  process.ensure(300);
  db.sql(
      "DROP TABLE events_p0, messages_p0, delivery_attempts_p0; DELETE FROM partitions WHERE "
      "number = 0");
  test::run(process.io, process.partitions.reload());
  CHECK_FALSE(process.find(50));
  CHECK(process.next_from(50)->lower == 100);
}

TEST_CASE("partitions: seen in the last one, the next is made in the background", "[partitions]") {
  MigratedDatabase db;
  Process process(db.config());
  CHECK(process.find(0)->number == 0);
  process.partitions.saw(99);
  REQUIRE(test::runs_out(process.io));
  CHECK(process.partitions.all().size() == 2);
  process.partitions.saw(100);
  process.partitions.saw(101);
  REQUIRE(test::runs_out(process.io));
  CHECK(bounds(db) == "0:0-100 1:100-200 2:200-300");
}

TEST_CASE("child: ensures partitions", "[.]") {
  test::in_child([] {
    Process process(
        test::database_config(test::parameter("CHILD_HOST"), test::parameter("CHILD_DATABASE")));
    test::report("ready");
    test::end_of_report();
    test::await_release();
    for (int seq = 0; seq <= 1'500; seq += 100) process.ensure(seq);
    return 0;
  });
}

TEST_CASE("partitions: many processes ensure at once", "[partitions]") {
  MigratedDatabase db;
  std::list<test::ChildCase> children;
  for (int i = 0; i < 6; ++i) {
    children.emplace_back(
        "child: ensures partitions",
        test::Program::Strings{"CHILD_HOST=" + db.config().host, "CHILD_DATABASE=" + db.name()});
  }
  for (test::ChildCase& child : children) CHECK(child.report() == "ready");
  for (test::ChildCase& child : children) child.release();
  for (test::ChildCase& child : children) CHECK(child.wait() == 0);
  CHECK(db.query("SELECT count(*), max(upper) FROM partitions") == "17|1700");
  CHECK(db.query("SELECT count(*) FROM partitions a JOIN partitions b ON b.number = a.number + 1 "
                 "WHERE a.upper <> b.lower") == "0");
}

TEST_CASE("partitions: open transactions that read and write do not hold up the next one",
          "[partitions]") {
  MigratedDatabase db;
  Process busy(db.config());
  const pg::ConnectionPtr writer =
      test::run(busy.io, busy.database.connect(store::Profile::general));
  test::run(busy.io,
            writer->exec("BEGIN; SET LOCAL search_path = eventhub;" + insert_event(150) +
                         "SELECT count(*) FROM events; SELECT count(*) FROM message_status"));
  Process process(db.config());
  process.ensure(150);
  CHECK(bounds(db) == "0:0-100 1:100-200 2:200-300");
  test::run(busy.io, writer->exec(insert_event(250) + "COMMIT"));
  CHECK(db.query("SELECT count(*) FROM events") == "2");
}

TEST_CASE("partitions: sixty small ones, then they grow", "[partitions]") {
  MigratedDatabase db;
  Process process(db.config());
  for (int i = 0; i < 58; ++i)
    process.ensure(process.partitions.all().empty() ? 100 : process.partitions.all().back().lower);
  CHECK(db.query("SELECT count(*) FROM partitions") == "60");
  CHECK(db.query("SELECT count(*) FROM partitions WHERE upper - lower = 100") == "51");
  CHECK(db.query("SELECT max(upper - lower) FROM partitions") == "400");
  db.sql(
      "INSERT INTO events (event_seq, id, event_type, version, payload) "
      "SELECT lower, gen_random_uuid(), 'a', 'v1', '{}' FROM partitions "
      "UNION ALL SELECT upper - 1, gen_random_uuid(), 'a', 'v1', '{}' FROM partitions");
  CHECK(db.query("SELECT count(DISTINCT tableoid), count(*) FROM events") == "60|120");
  CHECK(process.find(0)->number == 0);
  CHECK(process.find(5'099)->number == 50);
  CHECK(db.query("SELECT count(*) FROM pg_class WHERE relname ~ "
                 "'^(events|messages|delivery_attempts)_p[0-9]+$' "
                 "AND NOT relispartition") == "0");
}

}  // namespace
}  // namespace eventhub
