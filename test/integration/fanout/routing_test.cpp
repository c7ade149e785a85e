// Filters, organizations and keys in the payload: from rows of the database to messages.
#include <fmt/format.h>

#include "eventhub/core/json.hpp"
#include "eventhub/fanout/fanout.hpp"
#include "eventhub/store/sequencer.hpp"
#include "support/hub.hpp"

namespace eventhub::test {
namespace {

struct RoutedHub {
  boost::asio::io_context io;
  TestDatabase db;
  Hub hub{io, db};

  void subscribe(const std::string& columns, const std::string& values) {
    db.sql("INSERT INTO subscribers (name, webhook_url, created_by, " + columns +
           ") VALUES ('n', 'http://127.0.0.1:1/', 'me', " + values + ")");
  }
  void event(const std::string& type, const std::string& payload, const std::string& org = "NULL",
             const std::string& version = "'v1'") {
    db.sql(
        "INSERT INTO events (id, event_type, version, organization_id, payload) VALUES "
        "(gen_random_uuid(), '" +
        type + "', " + version + ", " + org + ", " + payload + ")");
  }
  // "event_seq:sid" of all messages, once as many are there and all events are passed.
  std::string messages(int count) {
    REQUIRE(run_until(io, [&] {
      return db.query(
                 "SELECT max(s.cursor) >= max(event_seq) OR (SELECT max(event_seq) FROM "
                 "messages) >= max(event_seq) FROM events, sequencer s") == "t" &&
             fanned_out(db, std::to_string(count));
    }));
    return db.query(
        "SELECT string_agg(event_seq || ':' || sid, ' ' ORDER BY event_seq, sid) "
        "FROM messages");
  }
};

}  // namespace

TEST_CASE("routing: filters over payload and envelope, organizations and keys of the payload") {
  RoutedHub f;
  f.subscribe("event_type, filter", R"('a.*', '{"path":"/n","gte":10}')");
  f.subscribe("event_type, organization_id", "'>', 'org-1'");
  f.subscribe("event_type, filter", R"('a.b', '{"member":"version","ne":"v1"}')");
  f.subscribe("event_type, ordering_enabled, ordering_key", "'k', true, '/customer/id'");
  f.event("a.b", R"('{"n":10}')");
  f.event("a.b", R"('{"n":9}')", "'org-1'");
  f.event("a.c", R"('{"n":1e1}')", "'org-2'", "'v2'");
  f.event("a.b", "'[]'", "NULL", "'v2'");
  f.event("k", R"('{"customer":{"id":1}}')");
  f.event("k", R"('{"customer":{"id":1.0,"x":2}}')");
  f.event("k", R"('{"customer":{"id":"1"}}')");
  f.event("k", "'{}'");
  Running fanout(f.hub, make_fanout(f.hub.context));
  CHECK(f.messages(8) == "1:1 2:2 3:1 4:3 5:4 6:4 7:4 8:4");
  CHECK(f.db.query("SELECT count(DISTINCT khash), count(khash), count(DISTINCT shard) "
                   "FILTER (WHERE event_seq IN (5, 6)) FROM messages WHERE sid = 4") == "2|3|1");
}

TEST_CASE("routing: a changed filter acts on the events that are accepted after it") {
  RoutedHub f;
  f.subscribe("event_type, filter", R"('a', '{"path":"/n","eq":0}')");
  f.subscribe("event_type", "'a'");
  Running fanout(f.hub, make_fanout(f.hub.context));
  for (int n = 1; n <= 20; ++n) {
    f.db.sql(fmt::format(
        R"(UPDATE subscribers SET filter = '{{"path":"/n","eq":{}}}' WHERE sid = 1)", n));
    f.event("a", fmt::format(R"('{{"n":{}}}')", n));
    REQUIRE(run_until(f.io, [&] { return fanned_out(f.db, std::to_string(2 * n)); }));
  }
}

TEST_CASE(
    "routing: payloads beyond what may be in memory are read in pieces, and over partitions") {
  boost::asio::io_context io;
  TestDatabase db(30);
  Hub hub(io, db);
  for (int i = 0; i < 3; ++i) db.sql("SELECT create_next_partition()");
  db.sql(
      "INSERT INTO subscribers (name, event_type, webhook_url, created_by, filter) VALUES "
      R"(('n', 'a', 'http://127.0.0.1:1/', 'me', '{"path":"/last","gte":50}'), )"
      "('n', 'a', 'http://127.0.0.1:1/', 'me', NULL)");
  // 100 of a million bytes (compressed on the disk): more than six pieces.
  db.sql(
      "INSERT INTO events (id, event_type, version, payload) SELECT gen_random_uuid(), 'a', 'v1', "
      "'{\"x\":\"' || repeat('x', 1000000) || '\",\"last\":' || n || '}' "
      "FROM generate_series(1, 100) n");
  Running fanout(hub, make_fanout(hub.context));
  REQUIRE(run_until(io, [&] { return fanned_out(db, "151"); }));
  CHECK(db.query("SELECT sid, count(*), min(event_seq), max(event_seq) FROM messages GROUP BY 1 "
                 "ORDER BY 1") == "1|51|50|100\n2|100|1|100");
}

TEST_CASE("routing: bodies are filled in as far as the limit goes, and one at least") {
  RoutedHub f;
  for (int n = 1; n <= 5; ++n) f.event("a", R"('{"n":1234}')");  // 10 bytes each
  f.db.sql("DELETE FROM events WHERE event_seq = 2");
  const auto session = run(f.io, store::Sequencer::connect(f.hub.context));
  REQUIRE(run(f.io, session->try_acquire()));
  auto feed = run(f.io, session->read(100));
  REQUIRE(feed.events.size() == 4);
  f.db.sql("DELETE FROM events WHERE event_seq = 3");
  std::vector<EventHeader*> all;
  for (EventHeader& event : feed.events) all.push_back(&event);
  CHECK(run(f.io, session->read_bodies(all, 1)) == 1);
  CHECK(feed.events[0].payload == R"({"n":1234})");
  CHECK(feed.events[0].version == "v1");
  CHECK(feed.events[2].payload.empty());
  CHECK(run(f.io, session->read_bodies(all, 11)) == 3);  // 3 is gone, 4 is there
  CHECK(feed.events[1].payload.empty());
  CHECK(feed.events[2].payload == R"({"n":1234})");
  CHECK(run(f.io, session->read_bodies(all, 1'000)) == 4);
}

TEST_CASE("routing: a filter that cannot be read holds what might pass it and disturbs nobody") {
  RoutedHub f;
  f.db.sql("ALTER TABLE subscribers DROP CONSTRAINT filter_is_one_of_docs_filters_md");
  f.subscribe("event_type, filter", R"('a', '{"path":"/n","like":"x"}')");
  f.subscribe("event_type", "'a'");
  f.event("a", R"('{"n":1}')");
  Running fanout(f.hub, make_fanout(f.hub.context));
  CHECK(f.messages(2) == "1:1 1:2");
  const auto set = run(f.io, f.hub.context.subscribers.refresh());
  CHECK(set->by_sid.at(1)->paused);
  CHECK(set->by_sid.at(1)->problem.find("#/like") != std::string::npos);
  CHECK_FALSE(set->by_sid.at(2)->paused);
}

}  // namespace eventhub::test
