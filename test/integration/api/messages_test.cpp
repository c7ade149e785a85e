// GET /events and GET /messages over HTTP. Events come by POST; what the other roles would have
// done with them is written by SQL.
#include <limits>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/json.hpp"
#include "members.hpp"

namespace eventhub {
namespace {

using test::all;
using test::Answer;
using test::ApiFixture;
using test::kJson;
using test::one;
using test::Words;

struct History : ApiFixture {
  History() : ApiFixture() {
    db.sql(
        "INSERT INTO subscribers (name, event_type, webhook_url, created_by) SELECT n, '>', "
        "'http://a.example', 'test' FROM unnest(ARRAY['one', 'two', 'three']) n");
  }
  // Accepts an event; its id.
  std::string event(const std::string& type = "user.created", const std::string& more = "") {
    const auto answer =
        post(R"({"event_type":")" + type + R"(","payload":{"a": 1.0})" + more + "}");
    REQUIRE(answer.status == 202);
    return one(answer, "event_id");
  }
  // As the fan-out does, for the first `subscribers` of them.
  void fan_out(int subscribers = 1) {
    db.sql(
        "INSERT INTO messages SELECT e.event_seq, s.sid, 1 FROM events e, subscribers s "
        "WHERE s.sid <= " +
        std::to_string(subscribers) + " ON CONFLICT DO NOTHING");
  }
  void attempt(int event, int sid, int number, int outcome, const std::string& more = "NULL") {
    db.sql(fmt::format(
        "INSERT INTO delivery_attempts (event_seq, sid, shard, attempt, outcome, http_status,"
        " latency_ms, attempted_at, next_attempt_at, error) VALUES ({0}, {1}, 1, {2}, {3}, 503, 12,"
        " '2026-01-31T08:00:00.5Z'::timestamptz + {2} * interval '1 s', {4}, 'HTTP 503')",
        event, sid, number, outcome, more));
  }
  std::string message(int event, int sid) {
    const auto id =
        parse_uuid(db.query("SELECT id FROM events WHERE event_seq = " + std::to_string(event)));
    return to_string(message_id({event, sid}, id.value()));
  }
};

// Messages in every state that there is.
void add_states(History& hub) {
  for (int i = 0; i < 11; ++i) hub.event();
  hub.fan_out();
  hub.attempt(2, 1, 1, 1);
  hub.attempt(3, 1, 1, 2, "'2026-01-31T09:00:00Z'");
  hub.attempt(4, 1, 1, 2, "'2026-01-31T09:00:00Z'");
  hub.attempt(4, 1, 2, 3);
  hub.attempt(5, 1, 1, 7);
  hub.attempt(6, 1, 1, 4);
  hub.attempt(7, 1, 1, 4);
  hub.attempt(7, 1, 1, 5);
  hub.attempt(8, 1, 0, 6);
  hub.attempt(9, 1, 1, 3);
  hub.attempt(10, 1, 1, 3);
  hub.db.sql(
      "INSERT INTO parked (event_seq, sid, shard, reason) VALUES (1, 1, 1, 1);"
      "INSERT INTO redeliveries (event_seq, sid, shard) VALUES (9, 1, 1);"
      "INSERT INTO redelivery_attempts (event_seq, sid, attempt, outcome, attempted_at)"
      " VALUES (10, 1, 1, 1, now())");
}

TEST_CASE("the list and message_status say the same of every message") {
  History hub;
  add_states(hub);
  for (const char* change : {"", "SET paused = true", "SET is_active = false"}) {
    if (*change != '\0') hub.db.sql("UPDATE subscribers " + std::string(change));
    const auto list = hub.get("/messages");
    REQUIRE(list.status == 200);
    std::string shown;
    const auto states = all(list, "status"), reasons = all(list, "reason"),
               outcomes = all(list, "last_outcome"), numbers = all(list, "attempts");
    for (std::size_t i = 0; i < states.size(); ++i) {
      shown += fmt::format("{}|{}|{}|{}\n", states[i], reasons[i], outcomes[i], numbers[i]);
    }
    CHECK(shown == hub.db.query("SELECT state, coalesce(reason, 'null'), "
                                "coalesce(last_outcome, 'null'), attempts FROM message_status "
                                "ORDER BY event_seq DESC") +
                       "\n");
    const Words words{"pending", "waiting", "delivered", "dead", "cancelled"};
    std::size_t total = 0;
    for (const std::string& word : words) {
      const auto found = all(hub.get("/messages?status=" + word), "status");
      CHECK(found == Words(found.size(), word));
      CHECK(std::to_string(found.size()) ==
            hub.db.query("SELECT count(*) FROM message_status WHERE state = '" + word + "'"));
      total += found.size();
    }
    CHECK(total == 11);
  }
}

TEST_CASE("a message shows its attempts, and why and until when it waits") {
  History hub;
  const std::string event = hub.event("a.b", R"(,"organization_id":"o","user_id":"u")");
  hub.fan_out();
  hub.attempt(1, 1, 1, 2, "'2026-01-31T08:01:00Z'");
  hub.attempt(1, 1, 2, 4);
  hub.attempt(1, 1, 2, 2, "'2026-01-31T09:00:00Z'");
  const std::string id = hub.message(1, 1);
  const auto answer = hub.get("/messages/" + id);
  REQUIRE(answer.status == 200);
  INFO(answer.body);
  CHECK(one(answer, "id") == id);
  CHECK(one(answer, "event_id") == event);
  CHECK(one(answer, "subscriber") == "one");
  CHECK(one(answer, "status") == "waiting");
  CHECK(one(answer, "reason") == "retry");
  CHECK(one(answer, "next_attempt_at") == "2026-01-31T09:00:00.000Z");
  CHECK(one(answer, "organization_id") == "o");
  CHECK(answer.says(R"("delivery_attempts":[{"attempt":1,"outcome":"retry","status":503,)"
                    R"("latency_ms":12,"attempted_at":"2026-01-31T08:00:01.500Z",)"));
  CHECK(all(answer, "outcome") == Words{"retry", "started", "retry"});
  CHECK_FALSE(validate_json(answer.body, 8).has_value());
  // Another id of the same place was never given out.
  const auto other = to_string(message_id({1, 1}, Uuid{}));
  CHECK(hub.get("/messages/" + other).status == 404);
  CHECK(hub.get("/messages/" + to_string(message_id({9, 9}, Uuid{}))).status == 404);
  CHECK(hub.get("/messages/" + event).status == 404);
  CHECK(hub.get("/messages/x").status == 404);
  const MessageRef last{(std::int64_t{1} << 56) - 1, std::numeric_limits<std::int32_t>::max()};
  CHECK(hub.get("/messages/" + to_string(message_id(last, Uuid{}))).status == 404);
}

TEST_CASE("an event is there right after its 202, with its bytes, and later with its messages") {
  History hub;
  const auto made = hub.post(R"({"event_type":"a","payload":{"b":  1e2, "x":"\ud800"},)"
                             R"("user_id":"u"})");
  const std::string id = one(made, "event_id");
  const auto fresh = hub.get("/events/" + id);
  REQUIRE(fresh.status == 200);
  CHECK(one(fresh, "id") == id);
  CHECK(fresh.says(R"("payload":{"b":  1e2, "x":"\ud800"})"));
  CHECK(fresh.says(R"("fanned_out":false)"));
  CHECK(fresh.says(R"("messages":[])"));
  hub.fan_out(3);
  hub.attempt(1, 2, 1, 1);
  const auto later = hub.get("/events/" + id);
  CHECK(later.says(R"("fanned_out":true)"));
  CHECK(all(later, "subscriber") == Words{"three", "two", "one"});
  CHECK(all(later, "outcome") == Words{"delivered"});
  CHECK_FALSE(validate_json(later.body, 8).has_value());
  CHECK(hub.get("/events/" + hub.message(1, 1)).status == 404);
}

TEST_CASE("events are listed newest first, in pages, by what they are") {
  History hub;
  for (const char* type : {"a", "b", "a"}) {
    hub.event(type, R"(,"organization_id":")" + std::string(type) + R"(","user_id":"u1")");
  }
  hub.event("c");
  const auto numbers = [&](const std::string& query) {
    std::string found, cursor;
    do {
      const auto answer = hub.get("/events?" + query + cursor);
      REQUIRE(answer.status == 200);
      for (const auto& number : all(answer, "event_seq")) found += number;
      cursor = "&cursor=" + one(answer, "next_cursor");
      found += ' ';
    } while (cursor != "&cursor=null");
    return found;
  };
  CHECK(numbers("") == "4321 ");
  CHECK(numbers("limit=2") == "43 21 ");
  CHECK(numbers("limit=3") == "432 1 ");
  CHECK(numbers("event_type=a") == "31 ");
  CHECK(numbers("organization_id=b") == "2 ");
  CHECK(numbers("user_id=u1&limit=1") == "3 2 1 ");
  CHECK(numbers("user_id=none") == " ");
  hub.db.sql(
      "UPDATE events SET created_at = '2026-01-01'::timestamptz + event_seq * interval '1 h'");
  CHECK(numbers("since=2026-01-01T02:00:00Z") == "432 ");
  CHECK(numbers("until=2026-01-01T02:00:00Z") == "1 ");
  CHECK(numbers("since=2026-01-01T01:30:00Z&until=2026-01-01T03:30:00Z") == "32 ");
  CHECK(numbers("since=2027-01-01T00:00:00Z") == " ");
  CHECK(hub.get("/events?type=a").status == 400);
}

TEST_CASE("what a request looks at is bounded; the next one goes on from there") {
  test::ApiFixture hub([](Config&) {});
  hub.db.sql(
      "INSERT INTO events (id, event_type, version, payload) SELECT gen_random_uuid(),"
      " CASE WHEN i = 1 THEN 'rare' ELSE 'a' END, 'v1', '{}' FROM generate_series(1, 100002) i");
  const auto first = hub.get("/events?event_type=rare");
  REQUIRE(first.status == 200);
  CHECK(all(first, "id").empty());
  const auto second = hub.get("/events?event_type=rare&cursor=" + one(first, "next_cursor"));
  CHECK(all(second, "event_seq") == Words{"1"});
  CHECK(one(second, "next_cursor") == "null");
}

TEST_CASE("messages are listed by subscriber, and pages do not repeat or leave out any") {
  History hub;
  for (int i = 0; i < 3; ++i) hub.event(i == 1 ? "b" : "a");
  hub.fan_out(3);
  Words seen;
  std::string cursor;
  do {
    const auto answer = hub.get("/messages?limit=2" + cursor);
    for (const auto& id : all(answer, "id")) seen.push_back(id);
    cursor = "&cursor=" + one(answer, "next_cursor");
  } while (cursor != "&cursor=null");
  Words wanted;
  for (int event = 3; event > 0; --event) {
    for (int sid = 3; sid > 0; --sid) wanted.push_back(hub.message(event, sid));
  }
  CHECK(seen == wanted);
  const std::string two = hub.db.query("SELECT id FROM subscribers WHERE name = 'two'");
  CHECK(all(hub.get("/messages?subscriber=" + two), "subscriber") == Words(3, "two"));
  CHECK(all(hub.get("/messages?event_type=b&subscriber=" + two), "event_seq") == Words{"2"});
  CHECK(hub.get("/messages?subscriber=two").status == 400);
  CHECK(hub.get("/messages?status=failed").says("one of: pending"));
}

TEST_CASE("a message that is over goes out again, once at a time") {
  History hub;
  add_states(hub);
  const auto press = [&](int event, const std::string& body = {}) {
    return hub.send("POST", "/messages/" + hub.message(event, 1) + "/retry",
                    body.empty() ? "" : kJson, body);
  };
  CHECK(press(4).status == 202);
  CHECK(press(4).status == 409);
  CHECK(press(2).status == 202);  // was delivered
  CHECK(press(9).status == 409);  // is being sent already
  for (const int open : {1, 3, 5, 6, 11}) CHECK(press(open).status == 409);
  CHECK(hub.db.query("SELECT string_agg(event_seq || requested_by, ' ' ORDER BY event_seq) FROM "
                     "redeliveries WHERE requested_by = 'api'") == "2api 4api");
  hub.db.sql("UPDATE subscribers SET delivery_guarantee = 'at_most_once'");
  CHECK(press(7).status == 409);
  CHECK(press(7, R"({"force":false})").status == 409);
  CHECK(press(7, R"({"force":true})").status == 202);
  CHECK(press(8, R"({"why":1})").status == 422);
  hub.db.sql("DELETE FROM subscribers");
  CHECK(press(8).says("was deleted"));
  CHECK(hub.send("POST", "/messages/" + to_string(Uuid{}) + "/retry").status == 404);
}

}  // namespace
}  // namespace eventhub
