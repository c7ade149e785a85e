// Events that are to go out later: accepted now, shown, taken back, moved when it is time.
#include "api_fixture.hpp"
#include "eventhub/core/time_text.hpp"
#include "eventhub/store/outbox.hpp"
#include "members.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;

struct ScheduleFixture : ApiFixture {
  using ApiFixture::ApiFixture;
  void move_all() {
    if (!outbox) {
      outbox = test::run(io, store::Outbox::connect(context));
      REQUIRE(test::run(io, outbox->try_acquire()));
    }
    while (test::run(io, outbox->move())) {
    }
  }
  std::string in(Seconds ahead) const { return format_time(clock.now() + ahead); }
  Answer schedule(const std::string& payload, Seconds ahead, const std::string& headers = {}) {
    return post(
        R"({"event_type":"a","payload":)" + payload + R"(,"deliver_after":")" + in(ahead) + "\"}",
        headers);
  }
  // As if so much time had passed.
  void pass(Seconds time) {
    db.sql("UPDATE outbox SET due_at = due_at - interval '" + std::to_string(time.count()) +
           " seconds'");
  }
  std::string events() {
    return db.query("SELECT string_agg(payload, ' ' ORDER BY event_seq) FROM events");
  }
  std::unique_ptr<store::Outbox> outbox;
};

std::string event_id(const Answer& answer) {
  const std::size_t at = answer.body.find(R"("event_id":")");
  return at == std::string::npos ? "" : answer.body.substr(at + 12, 36);
}

TEST_CASE("a scheduled event is shown with its time, and goes out then and not before") {
  ScheduleFixture hub;
  const auto answer = hub.schedule(R"({"n" : 1})", Seconds{60});
  CHECK(answer.status == 202);
  const std::string path = "/events/" + event_id(answer);
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*) FROM events") == "0");
  const auto shown = hub.get(path);
  CHECK(shown.says(R"("state":"scheduled")"));
  CHECK(shown.says(R"("payload":{"n" : 1})"));
  CHECK(shown.says(R"("deliver_after":")"));
  hub.pass(Seconds{59});
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*) FROM events") == "0");
  hub.pass(Seconds{1});
  hub.move_all();
  CHECK(hub.events() == R"({"n" : 1})");
  CHECK(hub.db.query("SELECT count(*) FROM outbox") == "0");
  CHECK(hub.get(path).says(R"("state":"accepted")"));
  CHECK(hub.get("/metrics").says(R"(eventhub_events_received_total{event_type="a"} 1)"));
}

TEST_CASE("what is due goes in the order of its times, and as accepted where they are equal") {
  ScheduleFixture hub([](Config& config) { config.ingest.batch_rows_max = 3; });
  const std::string same = hub.in(Seconds{20});
  for (const auto& [payload, time] : {std::pair{"[3]", same},
                                      {"[5]", hub.in(Seconds{30})},
                                      {"[1]", hub.in(Seconds{10})},
                                      {"[4]", same},
                                      {"[2]", hub.in(Seconds{15})}}) {
    CHECK(hub.post(R"({"event_type":"a","payload":)" + std::string(payload) +
                   R"(,"deliver_after":")" + time + "\"}")
              .status == 202);
  }
  hub.pass(Seconds{30});
  hub.db.sql("SELECT publish('a', '[0]')");
  hub.move_all();
  CHECK(hub.db.query("SELECT string_agg(payload, ' ' ORDER BY event_seq) FROM events "
                     "WHERE payload <> '[0]'") == "[1] [2] [3] [4] [5]");
  // Neither road waits for the end of the other.
  CHECK(test::number(hub.db.query("SELECT count(*) FROM events WHERE event_seq < (SELECT "
                                  "event_seq FROM events WHERE payload = '[0]')")) < 3);
}

TEST_CASE("a time that is past is no time") {
  ScheduleFixture hub;
  CHECK(hub.schedule("[1]", Seconds{-60}).status == 202);
  CHECK(hub.events() == "[1]");
}

TEST_CASE("the idempotency key of a scheduled event counts from its acceptance") {
  ScheduleFixture hub;
  const std::string key = "Idempotency-Key: k\r\n";
  const auto first = hub.schedule("[1]", Seconds{60}, key);
  CHECK(first.status == 202);
  // The time is no part of the request's identity: a producer that tries again computes another.
  const auto again = hub.schedule("[1]", Seconds{61}, key);
  CHECK(again.status == 200);
  CHECK(event_id(again) == event_id(first));
  CHECK(hub.schedule("[2]", Seconds{60}, key).status == 422);
  hub.pass(Seconds{60});
  hub.move_all();
  CHECK(hub.events() == "[1]");
  CHECK(hub.db.query("SELECT count(*) FROM idempotency_keys") == "1");
  CHECK(hub.schedule("[1]", Seconds{60}, key).status == 200);
}

TEST_CASE("a scheduled event is cancelled while it waits, once") {
  ScheduleFixture hub;
  const std::string path = "/events/" + event_id(hub.schedule("[1]", Seconds{60}));
  const std::string late = "/events/" + event_id(hub.schedule("[2]", Seconds{30}));
  CHECK(hub.send("DELETE", path).status == 204);
  CHECK(hub.send("DELETE", path).status == 404);
  CHECK(hub.get(path).status == 404);
  hub.pass(Seconds{60});
  hub.move_all();
  CHECK(hub.events() == "[2]");
  CHECK(hub.send("DELETE", late).status == 409);
  CHECK(hub.send("DELETE", "/events/x").status == 404);
}

TEST_CASE("times that cannot be are 400, and it is told where") {
  ScheduleFixture hub([](Config& config) { config.ingest.deliver_after_max = Seconds{100}; });
  CHECK(hub.schedule("[1]", Seconds{90}).status == 202);
  const auto far = hub.schedule("[1]", Seconds{200});
  CHECK(far.status == 400);
  CHECK(far.says(R"("pointer":"#/deliver_after")"));
  const auto over =
      hub.post(R"({"event_type":"a","payload":[],"expires_at":")" + hub.in(Seconds{-1}) + "\"}");
  CHECK(over.status == 400);
  CHECK(over.says(R"("pointer":"#/expires_at")"));
  const auto binary = hub.send("POST", "/events",
                               "Content-Type: application/json\r\nce-specversion: 1.0\r\nce-id: 1"
                               "\r\nce-source: /s\r\nce-type: a\r\nce-deliverafter: " +
                                   hub.in(Seconds{200}) + "\r\n",
                               "{}");
  CHECK(binary.status == 400);
  CHECK(binary.says("header ce-deliverafter"));
}

TEST_CASE("items of a batch have times of their own, and share its commit") {
  ScheduleFixture hub;
  const std::string ahead = R"("deliver_after":")" + hub.in(Seconds{60}) + "\"";
  const std::string head = R"({"event_type":"a","payload":)";
  const auto answer =
      hub.send("POST", "/events/batch", "Content-Type: application/json\r\n",
               "[" + head + "[1]," + ahead + R"(,"idempotency_key":"k"},)" + head + "[2]}," + head +
                   R"([3],"deliver_after":"9999-01-01T00:00:00Z"},)" + head +
                   R"([1],"idempotency_key":"k"},)" + head + R"([4],"expires_at":")" +
                   hub.in(Seconds{60}) + "\"}]");
  CHECK(answer.status == 200);
  CHECK(answer.says(R"("stored":4,"failed":1)"));
  CHECK(answer.says(R"("pointer":"#/2/deliver_after")"));
  CHECK(hub.events() == "[2] [4]");
  CHECK(hub.db.query("SELECT payload, k IS NULL FROM outbox") == "[1]|t");
  CHECK(hub.db.query("SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM events UNION ALL "
                     "SELECT xmin FROM outbox) x") == "1");
}

TEST_CASE("publish() takes the same times, and its keys count soon after the commit") {
  ScheduleFixture hub;
  const std::string args = "'a', '[1]', deliver_after => now() + interval '60 seconds'";
  const std::string id = hub.db.query("SELECT publish(" + args + ", idempotency_key => 'k')");
  hub.db.sql("SELECT publish('a', '[2]', deliver_after => now() - interval '1 second')");
  hub.db.sql("SELECT publish('a', '[3]', expires_at => now() + interval '1 hour')");
  hub.move_all();
  CHECK(hub.events() == "[2] [3]");
  CHECK(hub.get("/events/" + id).says(R"("state":"scheduled")"));
  CHECK(hub.post(R"({"event_type":"a","payload":[1]})", "Idempotency-Key: k\r\n").status == 200);
  hub.db.sql("SELECT publish(" + args + ", idempotency_key => 'k')");
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*) FROM outbox") == "1");
  hub.pass(Seconds{60});
  hub.move_all();
  CHECK(hub.events() == "[2] [3] [1]");
  CHECK(hub.get("/metrics").says(R"(eventhub_events_received_total{event_type="a"} 3)"));
  for (const char* bad : {"deliver_after => 'infinity'", "expires_at => now()",
                          "deliver_after => now() + interval '1 hour', expires_at => now() + "
                          "interval '1 hour'"}) {
    INFO(bad);
    CHECK_THROWS(hub.db.sql("SELECT publish('a', '[]', " + std::string(bad) + ")"));
  }
}

TEST_CASE("a look for what is due passes no row that is not") {
  ScheduleFixture hub;
  hub.move_all();
  hub.db.sql(
      "INSERT INTO outbox (id, event_id, event_type, version, payload, due_at) OVERRIDING SYSTEM "
      "VALUE SELECT nextval('outbox_filed_id'), gen_random_uuid(), 'a', 'v1', '[]', now() + "
      "interval '1 day' FROM generate_series(1, 50000)");
  const std::string read =
      "SELECT sum(idx_tup_read) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname "
      "= 'outbox') FROM pg_stat_user_indexes WHERE relname = 'outbox'";
  hub.db.query("SELECT pg_stat_force_next_flush(), publish('a', '[1]')");
  const int before = test::number(hub.db.query(read));
  CHECK(hub.db.query("SELECT taken FROM move_outbox(10, 1000000, 1, 1), "
                     "pg_stat_force_next_flush()") == "1");
  CHECK(hub.events() == "[1]");
  CHECK(test::number(hub.db.query(read)) - before < 100);
}

}  // namespace
}  // namespace eventhub
