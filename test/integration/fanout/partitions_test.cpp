// The fan-out over partition borders.
#include "eventhub/fanout/fanout.hpp"
#include "support/hub.hpp"

namespace eventhub::test {
namespace {

const pg::Statement kInsert{"test_insert_events",
                            "INSERT INTO events (id, event_type, version, payload) SELECT "
                            "gen_random_uuid(), 'x', 'v1', '{}' "
                            "FROM (SELECT pg_advisory_xact_lock($1, 1)) l, generate_series(1, $2)"};

// Writes as ingest does: under the ordering lock; a missing partition is made and the batch
// repeated (so numbers are burnt, as they are there).
Task<void> write(Hub& hub, int batches, int rows, int& written) {
  pg::ConnectionPtr connection = co_await hub.database.connect(store::Profile::hot);
  for (int i = 0; i < batches;) {
    bool missing = false;
    try {
      pg::Params params;
      params.i32(hub.database.lock_space()).i32(rows);
      co_await connection->run(kInsert, std::move(params));
    } catch (const pg::Error& error) {
      if (!error.missing_partition()) throw;
      missing = true;
    }
    if (missing) {
      const std::int64_t upper = hub.partitions.all().back().upper;
      co_await hub.partitions.ensure(upper + rows);
      continue;
    }
    written += rows;
    ++i;
  }
}

Task<pg::ConnectionPtr> open_reader(Hub& hub) {
  pg::ConnectionPtr connection = co_await hub.database.connect(store::Profile::general);
  co_await connection->exec("SET idle_in_transaction_session_timeout = 0");
  co_await connection->exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
  co_await connection->exec("SELECT count(*) FROM events; SELECT count(*) FROM messages");
  co_return connection;
}

}  // namespace

TEST_CASE("sixty partitions roll by under load while a reader's transaction is open") {
  boost::asio::io_context io;
  TestDatabase db(50);
  Config config;
  config.fanout.batch_rows_max = 70;
  Hub fanout_hub(io, db, config), writers(io, db);
  db.sql(add_subscribers(3, ">"));
  Running fanout(fanout_hub, make_fanout(fanout_hub.context));
  const pg::ConnectionPtr reader = run(io, open_reader(writers));
  int written = 0;
  for (int i = 0; i < 3; ++i) {
    spawn(executor_of(io), "writer", write(writers, 60, 17, written));
  }
  REQUIRE(run_until(
      io, [&] { return written == 3060; }, Millis{60'000}));
  CHECK(run_until(io, [&] { return fanned_out(db, "9180"); }));
  CHECK(std::stoi(db.query("SELECT count(*) FROM partitions")) >= 50);
  CHECK_FALSE(fanout.failed());
}

TEST_CASE("without cleanup for three partitions events are still accepted and fanned out") {
  boost::asio::io_context io;
  TestDatabase db(50);
  Hub hub(io, db);
  db.sql(add_subscribers(2, ">"));
  Running fanout(hub, make_fanout(hub.context));
  int sent = 0;
  while (sent < 200) {
    db.sql(add_events(20, "x"));
    sent += 20;
    REQUIRE(run_until(io, [&] { return fanned_out(db, std::to_string(2 * sent)); }));
    io.restart();
    io.run_for(Millis{50});
  }
  CHECK(std::stoi(db.query("SELECT count(*) FROM partitions")) >= 5);
}

TEST_CASE("a whole partition of burnt numbers is passed") {
  boost::asio::io_context io;
  TestDatabase db(50);
  Hub hub(io, db);
  for (int i = 0; i < 8; ++i) db.sql("SELECT create_next_partition()");
  db.sql(add_subscribers(2, ">") + add_events(10, "x"));
  Running fanout(hub, make_fanout(hub.context));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "20"); }));
  db.sql("SELECT setval('event_seq', 320)");
  db.sql(add_events(10, "x"));
  CHECK(run_until(
      io, [&] { return fanned_out(db, "40"); }, Millis{10'000}));
}

TEST_CASE("it goes on after the oldest partitions were dropped, and after a restore far ahead") {
  boost::asio::io_context io;
  TestDatabase db(50);
  for (int i = 0; i < 8; ++i) db.sql("SELECT create_next_partition()");
  db.sql(add_subscribers(2, ">") + "SELECT setval('event_seq', 210);" + add_events(10, "x"));
  db.sql(
      "DROP TABLE events_p0, messages_p0, delivery_attempts_p0; DELETE FROM partitions WHERE "
      "number = 0");
  Hub hub(io, db);
  Running fanout(hub, make_fanout(hub.context));
  CHECK(run_until(
      io, [&] { return fanned_out(db, "20"); }, Millis{10'000}));
}

}  // namespace eventhub::test
