#include "eventhub/cleanup/cleanup.hpp"

#include <chrono>

#include "eventhub/store/housekeeping.hpp"
#include "support/hub.hpp"

namespace eventhub::test {
namespace {

Config quick() {
  Config config;
  config.cleanup.interval = Millis{200};
  config.cleanup.retention = Seconds{3'600};
  return config;
}

// `count` events in partitions of ten, fanned out and delivered as far as the tables tell.
struct World {
  explicit World(int count, Config config = quick()) : hub(io, db, std::move(config)) {
    for (int i = 0; i <= count / 10; ++i) db.sql("SELECT create_next_partition()");
    db.sql(add_subscribers(1, ">") + add_events(count, "x"));
    db.sql("INSERT INTO messages SELECT event_seq, 1, 0, NULL FROM events");
    db.sql("UPDATE sequencer SET cursor = " + std::to_string(count));
    db.sql("UPDATE shards SET lwm = " + std::to_string(count));
  }
  void make_old(int through) {
    db.sql("UPDATE events SET created_at = now() - interval '2 h' WHERE event_seq <= " +
           std::to_string(through));
  }
  // Two whole rounds.
  void rounds() {
    const int before = rounds_done();
    REQUIRE(run_until(io, [&] { return rounds_done() >= before + 2; }));
  }
  int rounds_done() {
    const std::string name = "eventhub_batch_rows_count{queue=\"dropped_partitions\"} ";
    const std::string all = hub.metrics.expose();
    const std::size_t at = all.find(name);
    return at == std::string::npos ? 0 : std::stoi(all.substr(at + name.size()));
  }
  std::string partitions() {
    return db.query("SELECT string_agg(number::text, ' ' ORDER BY number) FROM partitions");
  }
  // Both lists agree in all three tables.
  void check_tables() {
    for (const char* table : {"events", "messages", "delivery_attempts"}) {
      CHECK(db.query("SELECT string_agg(split_part(c.relname, '_p', 2), ' ' ORDER BY "
                     "split_part(c.relname, "
                     "'_p', 2)::int) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                     "WHERE i.inhparent = '" +
                     std::string(table) + "'::regclass") == partitions());
    }
  }

  boost::asio::io_context io;
  TestDatabase db{10};
  Hub hub;
};

}  // namespace

TEST_CASE("what is past retention is dropped, and only that") {
  World w(55);  // 0: 1-9, 1: 10-19, … 5: 50-55
  w.make_old(34);
  Running cleanup(w.hub, make_cleanup(w.hub.context));
  CHECK(run_until(w.io, [&] { return w.partitions() == "3 4 5 6"; }));
  w.rounds();
  CHECK(w.partitions() == "3 4 5 6");
  w.check_tables();
  CHECK(w.db.query("SELECT min(event_seq), count(*) FROM events") == "30|26");
  CHECK(w.db.query("SELECT min(event_seq), count(*) FROM messages") == "30|26");
  CHECK(w.db.query("SELECT expire_below FROM sequencer") == "30");
}

TEST_CASE("the partition that is written now stays however old its events are") {
  World w(25);
  w.make_old(25);
  Running cleanup(w.hub, make_cleanup(w.hub.context));
  CHECK(run_until(w.io, [&] { return w.partitions() == "2 3"; }));
  w.rounds();
  CHECK(w.partitions() == "2 3");
  CHECK(w.db.query("SELECT expire_below FROM sequencer") == "26");
}

TEST_CASE("a partition stays while somebody needs it") {
  struct Case {
    const char *hold, *release, *stays;
  };
  const Case cases[] = {
      {"INSERT INTO parked (event_seq, sid, shard, reason) VALUES (15, 1, 0, 3)",
       "DELETE FROM parked", "1 3 4 5"},
      {"INSERT INTO redeliveries (event_seq, sid, shard) VALUES (19, 1, 0)",
       "DELETE FROM redeliveries", "1 3 4 5"},
      {"UPDATE shards SET lwm = 18 WHERE shard = 7", "UPDATE shards SET lwm = 29", "1 2 3 4 5"},
      {"UPDATE sequencer SET cursor = 19", "UPDATE sequencer SET cursor = 45", "1 2 3 4 5"},
  };
  for (const Case& c : cases) {
    INFO(c.hold);
    World w(45);
    w.make_old(29);
    w.db.sql(c.hold);
    Running cleanup(w.hub, make_cleanup(w.hub.context));
    CHECK(run_until(w.io, [&] { return w.partitions() == c.stays; }));
    w.rounds();
    CHECK(w.partitions() == c.stays);
    w.check_tables();
    w.db.sql(c.release);
    CHECK(run_until(w.io, [&] { return w.partitions() == "3 4 5"; }));
  }
}

TEST_CASE(
    "a reader keeps its partition; nobody queues behind the drop; it goes when the reader is "
    "done") {
  World w(25);
  w.make_old(9);
  pg::ConnectionPtr reader = run(w.io, w.hub.database.connect(store::Profile::general));
  run(w.io, reader->exec("SET idle_in_transaction_session_timeout = 0"));
  run(w.io, reader->exec("BEGIN; SELECT count(*) FROM messages"));
  Running cleanup(w.hub, make_cleanup(w.hub.context));
  w.rounds();
  CHECK(w.partitions() == "0 1 2 3");
  w.check_tables();
  const auto start = std::chrono::steady_clock::now();
  w.db.sql(add_events(3, "x"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  run(w.io, reader->exec("COMMIT"));
  CHECK(run_until(w.io, [&] { return w.partitions() == "1 2 3"; }));
  w.check_tables();
}

TEST_CASE("the sessions of silent nodes with shards are ended, once, and no others") {
  World w(5);
  const auto session = [&] { return run(w.io, w.hub.database.connect(store::Profile::general)); };
  const pg::ConnectionPtr dead = session(), alive = session(), idle = session(), reused = session();
  const auto node = [&](const pg::ConnectionPtr& connection, const std::string& rest) {
    const std::string pid = std::to_string(connection->backend_pid());
    w.db.sql(
        "INSERT INTO nodes (node, name, roles, version, pid, backend_start, shards, heartbeat) "
        "SELECT "
        "gen_random_uuid(), 'n', '{dispatcher}', '1', pid, backend_start" +
        rest + " FROM pg_stat_activity WHERE pid = " + pid);
  };
  node(dead, ", 8, now() - interval '20 s'");
  node(alive, ", 8, now() - interval '10 s'");
  node(idle, ", 0, now() - interval '20 s'");
  node(reused, " - interval '1 s', 8, now() - interval '20 s'");  // the pid is another's by now
  const auto house = run(w.io, store::Housekeeping::connect(w.hub.context));
  run(w.io, house->end_dead_sessions());
  run(w.io, house->end_dead_sessions());
  const auto there = [&](const pg::ConnectionPtr& connection) {
    return w.db.query("SELECT count(*) FROM pg_stat_activity WHERE pid = " +
                      std::to_string(connection->backend_pid())) == "1";
  };
  CHECK(run_until(
      w.io, [&] { return !there(dead); }, Millis{3'000}));
  CHECK(there(alive));
  CHECK(there(idle));
  CHECK(there(reused));
}

TEST_CASE("old dead letters, idempotency buckets and forgotten nodes go") {
  Config config = quick();
  config.cleanup.dlq_retention = Seconds{3'600};
  World w(5, config);
  w.db.sql(
      "INSERT INTO dead_letter_queue (event_seq, sid, shard, message_id, outcome, reason, "
      "attempts, failed_at) "
      "SELECT i, 1, 0, gen_random_uuid(), 3, 'rejected', 1, now() - interval '2 h' FROM "
      "generate_series(1, "
      "2500) i");
  w.db.sql("UPDATE dead_letter_queue SET failed_at = now() WHERE event_seq <= 3");
  w.db.sql("INSERT INTO redeliveries (event_seq, sid, shard) VALUES (5, 1, 0)");
  w.db.sql(
      "INSERT INTO nodes (node, name, roles, version, heartbeat) VALUES "
      "(gen_random_uuid(), 'old', '{}', '1', now() - interval '2 h'), "
      "(gen_random_uuid(), 'new', '{}', '1', now() - interval '2 min')");
  w.db.sql(
      "CREATE TABLE idempotency_keys_0_3600 PARTITION OF idempotency_keys FOR VALUES FROM "
      "(to_timestamp(0)) TO (to_timestamp(3600))");
  Running cleanup(w.hub, make_cleanup(w.hub.context));
  CHECK(run_until(w.io, [&] {
    return w.db.query(
               "SELECT string_agg(event_seq::text, ' ' ORDER BY event_seq) FROM "
               "dead_letter_queue") == "1 2 3 5" &&
           w.db.query("SELECT string_agg(name, ' ') FROM nodes") == "new" &&
           w.db.query("SELECT to_regclass('idempotency_keys_0_3600') IS NULL") == "t";
  }));
  CHECK(run_until(w.io, [&] {
    return w.hub.metrics.expose().find("eventhub_dlq_size 4") != std::string::npos;
  }));
}

TEST_CASE("the history of a redelivery goes with its partition unless its dead letter is there") {
  World w(25);
  w.db.sql(
      "INSERT INTO redelivery_attempts (event_seq, sid, attempt, outcome, attempted_at) VALUES "
      "(1, 1, 2, 1, now()), (2, 1, 2, 3, now()), (3, 1, 2, 2, now()), (11, 1, 2, 1, now())");
  w.db.sql(
      "INSERT INTO dead_letter_queue (event_seq, sid, shard, message_id, outcome, reason, "
      "attempts) "
      "VALUES (2, 1, 0, gen_random_uuid(), 3, 'rejected', 2)");
  const auto house = run(w.io, store::Housekeeping::connect(w.hub.context));
  const auto left = [&] {
    run(w.io, house->delete_redelivery_attempts());
    return w.db.query(
        "SELECT string_agg(event_seq::text, ' ' ORDER BY event_seq) FROM "
        "redelivery_attempts");
  };
  CHECK(left() == "1 2 3 11");
  w.db.sql("DROP TABLE events_p0, messages_p0, delivery_attempts_p0");
  w.db.sql("DELETE FROM partitions WHERE number = 0");
  w.db.sql("INSERT INTO redeliveries (event_seq, sid, shard) VALUES (3, 1, 0)");
  CHECK(left() == "2 3 11");
}

TEST_CASE("one cleanup works at a time; another takes over") {
  World w(5);
  Hub second_hub(w.io, w.db, quick());
  const auto owners = [&] {
    return w.db.query(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 4 AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
  };
  Running first(w.hub, make_cleanup(w.hub.context)),
      second(second_hub, make_cleanup(second_hub.context));
  REQUIRE(run_until(w.io, [&] { return !owners().empty(); }));
  const std::string owner = owners();
  CHECK(owner.find('\n') == std::string::npos);
  w.db.sql("SELECT pg_terminate_backend(" + owner + ")");
  CHECK(run_until(w.io, [&] { return !owners().empty() && owners() != owner; }));
  CHECK_FALSE(first.failed());
  CHECK(first.stop());
  CHECK(second.stop());
  CHECK(owners().empty());
}

TEST_CASE("the BRIN indexes of the hot partitions are summarized") {
  World w(5);
  TestDatabase db(1'000'000);
  Hub hub(w.io, db, quick());
  db.sql("SELECT create_next_partition();" + add_events(20'000, "x"));
  const std::string summarized =
      "SELECT brin_summarize_new_values(i.indexrelid::regclass) FROM pg_index i JOIN pg_class c ON "
      "c.oid = "
      "i.indexrelid WHERE i.indrelid = 'events_p0'::regclass AND c.relname LIKE '%id_idx'";
  const auto house = run(w.io, store::Housekeeping::connect(hub.context));
  run(w.io, house->summarize_indexes());
  CHECK(db.query(summarized) == "0");  // nothing was left to do
}

}  // namespace eventhub::test
