#include "eventhub/fanout/fanout.hpp"

#include <chrono>

#include "eventhub/store/sequencer.hpp"
#include "support/hub.hpp"

namespace eventhub::test {
namespace {

std::string owner_pid(TestDatabase& db) {
  return db.query(
      "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 2 AND granted "
      "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
}

}  // namespace

TEST_CASE("an event accepted right after a subscriber's commit is matched against it") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  Running fanout(hub, make_fanout(hub.context));
  REQUIRE(run_until(io, [&] { return !owner_pid(db).empty(); }));
  for (int i = 1; i <= 30; ++i) {
    const std::string type = "type." + std::to_string(i);
    db.sql(add_subscribers(1, type) + add_events(1, type));  // two commits
    INFO(type);
    REQUIRE(run_until(io, [&] { return fanned_out(db, std::to_string(i)); }));
  }
}

TEST_CASE("messages carry shard and key as the subscriber asks, inactive subscribers get none") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  db.sql(add_subscribers(5, "a.*"));
  db.sql("UPDATE subscribers SET is_active = false WHERE sid = 2");
  db.sql("UPDATE subscribers SET paused = true WHERE sid = 3");
  db.sql("UPDATE subscribers SET ordering_enabled = true, ordering_key = 'user_id' WHERE sid = 4");
  db.sql(
      "INSERT INTO events (id, event_type, version, user_id, payload) VALUES "
      "(gen_random_uuid(), 'a.b', 'v1', 'user-123', '{}'), (gen_random_uuid(), 'a.b', 'v1', NULL, "
      "'{}'), "
      "(gen_random_uuid(), 'b.b', 'v1', 'user-123', '{}')");
  Running fanout(hub, make_fanout(hub.context));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "8"); }));
  CHECK(db.query("SELECT DISTINCT sid FROM messages ORDER BY sid") == "1\n3\n4\n5");
  const auto hash = stable_hash("user-123");
  CHECK(db.query("SELECT khash, shard FROM messages WHERE khash IS NOT NULL") ==
        std::to_string(static_cast<std::int64_t>(hash)) + "|" +
            std::to_string(shard_of(4, hash, 64)));
}

TEST_CASE("each event meets each of 1, 2, 3, 5, 7 and 1,300 subscribers exactly once") {
  boost::asio::io_context io;
  for (const auto& [subscribers, events] :
       {std::pair{1, 900}, {2, 900}, {3, 900}, {5, 900}, {7, 900}, {1300, 20}}) {
    INFO(subscribers << " subscribers");
    TestDatabase db(300);
    Config config;
    config.fanout.batch_rows_max = 100 + subscribers;
    Hub hub(io, db, config);
    for (int i = 0; i < 3; ++i) db.sql("SELECT create_next_partition()");
    db.sql(add_subscribers(subscribers, ">") + add_events(events, "x"));
    Running fanout(hub, make_fanout(hub.context));
    const auto halves = [&] {
      return db.query(
          "SELECT count(*) FROM (SELECT event_seq FROM messages GROUP BY 1 HAVING count(*) <> " +
          std::to_string(subscribers) + ") half");
    };
    REQUIRE(run_until(io, [&] {
      REQUIRE(halves() == "0");  // an event's messages become visible together
      return fanned_out(db, std::to_string(subscribers * events));
    }));
    CHECK(halves() == "0");
  }
}

TEST_CASE("after a restart behind unmatched history a new subscriber gets only new events") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  const auto passed = [&] { return db.query("SELECT cursor >= 10000 FROM sequencer") == "t"; };
  {
    db.sql(add_events(10'000, "nobody.cares"));
    Running fanout(hub, make_fanout(hub.context));
    REQUIRE(run_until(io, passed));
  }
  Hub restarted(io, db);
  db.sql(add_subscribers(1, ">") + add_events(3, "new"));
  const auto start = std::chrono::steady_clock::now();
  Running fanout(restarted, make_fanout(restarted.context));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "3"); }));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(3));
  io.restart();
  io.run_for(Millis{300});
  CHECK(db.query("SELECT count(*), min(event_seq) FROM messages") == "3|10001");
}

TEST_CASE("events without messages are passed for good in the commit that passes them") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  db.sql(add_subscribers(1, "x") + add_events(30, "x"));
  const auto cursor = [&] { return db.query("SELECT cursor FROM sequencer"); };
  const auto message = [](std::int64_t seq) { return std::vector<Message>{{{seq, 1}, 0, {}}}; };
  {
    const auto session = run(io, store::Sequencer::connect(hub.context));
    REQUIRE(run(io, session->try_acquire()));
    run(io, session->append({}, 5));
    CHECK(cursor() == "5");
    run(io, session->append({}, 9));
    CHECK(cursor() == "9");
    run(io, session->append(message(10), 10));  // the message itself is the mark
    CHECK(cursor() == "9");
    run(io, session->append(message(11), 20));
    CHECK(cursor() == "20");
    run(io, session->append(message(25), 25));
  }
  const auto next = run(io, store::Sequencer::connect(hub.context));
  REQUIRE(run_until(io, [&] { return run(io, next->try_acquire()); }));
  CHECK(next->cursor() == 25);
}

TEST_CASE("of two fan-outs one owns the sequence; the other takes over when its session ends") {
  boost::asio::io_context io;
  TestDatabase db;
  db.sql(add_subscribers(3, ">"));
  Hub one(io, db), two(io, db);
  Running first(one, make_fanout(one.context)), second(two, make_fanout(two.context));
  int expected = 0;
  std::string owner;
  for (int round = 0; round < 5; ++round) {
    db.sql(add_events(100, "x"));
    expected += 300;
    REQUIRE(run_until(io, [&] { return fanned_out(db, std::to_string(expected)); }));
    const std::string pid = owner_pid(db);
    CHECK(pid.find('\n') == std::string::npos);
    CHECK(pid != owner);
    owner = pid;
    db.sql("SELECT pg_terminate_backend(" + pid + ")");
  }
  CHECK_FALSE(first.failed());
  CHECK_FALSE(second.failed());
}

TEST_CASE("a stopped fan-out gives the lock back, another one goes on") {
  boost::asio::io_context io;
  TestDatabase db;
  db.sql(add_subscribers(2, ">"));
  Hub one(io, db), two(io, db);
  Running first(one, make_fanout(one.context));
  db.sql(add_events(50, "x"));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "100"); }));
  Running second(two, make_fanout(two.context));
  CHECK(first.stop(Millis{2'000}));
  db.sql(add_events(50, "x"));
  CHECK(run_until(
      io, [&] { return fanned_out(db, "200"); }, Millis{3'000}));
  CHECK(second.stop(Millis{2'000}));
  CHECK(owner_pid(db).empty());
  CHECK(db.query("SELECT cursor FROM sequencer") == "100");
}

TEST_CASE("an owner killed in mid batch leaves nothing half and nothing out") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  db.sql(add_subscribers(1300, ">") + add_events(120, "x"));
  Running fanout(hub, make_fanout(hub.context));
  const std::string half =
      "SELECT count(*) FROM (SELECT event_seq FROM messages GROUP BY 1 HAVING count(*) <> 1300) h";
  int kills = 0;
  REQUIRE(run_until(
      io,
      [&] {
        if (const std::string pid = owner_pid(db); !pid.empty() && kills < 10) {
          db.sql("SELECT pg_terminate_backend(" + pid + ")");
          ++kills;
        }
        REQUIRE(db.query(half) == "0");
        return fanned_out(db, "156000");
      },
      Millis{60'000}, Millis{150}));
  CHECK(kills >= 3);
}

TEST_CASE("a crash of the whole database is outlived") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  db.sql(add_subscribers(2, ">") + add_events(10, "x"));
  Running fanout(hub, make_fanout(hub.context));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "20"); }));
  PrivatePostgres::server().crash();
  io.restart();
  io.run_for(Millis{300});
  PrivatePostgres::server().start();
  const std::int64_t kept = std::stoll(db.query("SELECT count(*) FROM events"));
  db.sql(add_events(10, "x"));
  CHECK(run_until(io, [&] { return fanned_out(db, std::to_string(2 * (kept + 10))); }));
  CHECK_FALSE(fanout.failed());
}

TEST_CASE("one row that PostgreSQL refuses becomes a dead letter, its neighbours go through") {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub(io, db);
  db.sql(add_subscribers(7, ">") + add_events(200, "x"));
  db.sql("ALTER TABLE messages ADD CONSTRAINT no CHECK (event_seq <> 77 OR sid <> 3)");
  Running fanout(hub, make_fanout(hub.context));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "1399"); }));
  CHECK(db.query("SELECT event_seq, sid, outcome, reason, attempts, event_type, payload, "
                 "subscriber_snapshot->>'name' FROM dead_letter_queue") ==
        "77|3|3|internal|0|x|{}|n3");
  CHECK(db.query("SELECT event_seq, sid, outcome FROM delivery_attempts") == "77|3|3");
  const auto id = parse_uuid(db.query("SELECT id FROM events WHERE event_seq = 77"));
  CHECK(db.query("SELECT message_id FROM dead_letter_queue") ==
        to_string(message_id({77, 3}, *id)));
  db.sql(add_events(1, "x"));
  CHECK(run_until(io, [&] { return fanned_out(db, "1406"); }));
}

TEST_CASE("a fan-out without a dispatcher shows itself in nodes and leaves when it stops") {
  boost::asio::io_context io;
  TestDatabase db;
  Config config;
  config.roles = {"fanout"};
  Hub hub(io, db, config);
  Running fanout(hub, make_fanout(hub.context));
  const std::string alive =
      "SELECT roles FROM nodes WHERE heartbeat > clock_timestamp() - interval '2 s'";
  REQUIRE(run_until(io, [&] { return db.query(alive) == "{fanout}"; }));
  io.restart();
  io.run_for(Millis{2'500});
  CHECK(db.query(alive) == "{fanout}");
  CHECK(fanout.stop());
  CHECK(db.query("SELECT count(*) FROM nodes") == "0");
}

}  // namespace eventhub::test
