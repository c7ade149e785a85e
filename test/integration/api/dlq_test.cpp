// /dlq over HTTP, down to the requests that owners of shards read (redeliveries, discards).
#include <regex>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/json.hpp"
#include "members.hpp"

namespace eventhub {
namespace {

using test::all;
using test::Answer;
using test::ApiFixture;
using test::kJson;
using test::Words;

// Two subscribers, and dead letters of them; the later the number the later it died.
struct DeadLetters : ApiFixture {
  DeadLetters() : ApiFixture() {
    db.sql(
        "INSERT INTO subscribers (name, event_type, webhook_url, created_by) SELECT n, '>', "
        "'http://a.example', 'test' FROM unnest(ARRAY['one', 'two']) n");
  }
  static std::string id(int event, int sid) { return to_string(message_id({event, sid}, Uuid{})); }
  void die(int event, int sid, const std::string& payload = R"({"n": 1.0})") {
    db.sql(fmt::format(
        "INSERT INTO dead_letter_queue (event_seq, sid, shard, khash, message_id, event_id,"
        " outcome, reason, last_status, last_error, attempts, failed_at, event_type, version,"
        " organization_id, user_id, payload, accepted_at, subscriber_snapshot)"
        " VALUES ({0}, {1}, 7, {0}, '{2}', gen_random_uuid(), 3, 'rejected', 400 + {0}, 'HTTP',"
        " 4, '2026-01-31T08:00:00.123456Z'::timestamptz + {0} * interval '1 s', 'type.{0}', 'v1',"
        " 'org-{1}', NULL, '{3}', now(), '{{\"name\": \"as it was\"}}')",
        event, sid, id(event, sid), payload));
  }
  std::string requests() {
    return db.query(
        "SELECT string_agg(event_seq || '/' || sid, ' ' ORDER BY event_seq, sid) FROM "
        "redeliveries");
  }
  Answer press(const std::string& path, const std::string& body = {}) {
    return send("POST", path, body.empty() ? "" : kJson, body);
  }
  Answer retry_all(const std::string& body) { return press("/dlq/retry", body); }
};

TEST_CASE("dead letters are listed newest first, by filter, without payloads") {
  DeadLetters hub;
  for (int event = 1; event <= 3; ++event) {
    hub.die(event, 1);
    hub.die(event, 2);
  }
  Words seen;
  std::string cursor;
  do {
    const auto answer = hub.get("/dlq?limit=4" + cursor);
    REQUIRE(answer.status == 200);
    CHECK_FALSE(answer.says("payload"));
    for (const auto& id : all(answer, "id")) seen.push_back(id);
    cursor = "&cursor=" + all(answer, "next_cursor").at(0);
  } while (cursor != "&cursor=null");
  CHECK(seen == Words{DeadLetters::id(3, 2), DeadLetters::id(3, 1), DeadLetters::id(2, 2),
                      DeadLetters::id(2, 1), DeadLetters::id(1, 2), DeadLetters::id(1, 1)});
  const auto count = [&](const std::string& query) {
    const auto answer = hub.get("/dlq?" + query);
    INFO(answer.body);
    REQUIRE(answer.status == 200);
    return all(answer, "id").size();
  };
  CHECK(count("subscriber=" + hub.db.query("SELECT id FROM subscribers WHERE sid = 2")) == 3);
  CHECK(count("event_type=type.1") == 2);
  CHECK(count("organization_id=org-1&last_status=402") == 1);
  CHECK(count("reason=rejected&outcome=dead") == 6);
  CHECK(count("outcome=expired") == 0);
  CHECK(count("user_id=u") == 0);
  CHECK(count("since=2026-01-31T08:00:03Z") == 2);
  CHECK(count("until=2026-01-31T08:00:02Z") == 2);
  CHECK(hub.get("/dlq?outcome=delivered").status == 400);
  CHECK(hub.get("/dlq?cursor=1-2").status == 400);
  CHECK(hub.get("/dlq?cursor=7fffffffffffffff-2-3").status < 500);
  hub.db.sql("DELETE FROM subscribers");
  CHECK(hub.get("/dlq").says(R"("subscriber":"as it was")"));
}

TEST_CASE("one dead letter is shown with its payload byte for byte") {
  DeadLetters hub;
  hub.die(1, 1, R"({"b":  1e2, "a":"\ud800", "c":"{}"})");
  const auto answer = hub.get("/dlq/" + DeadLetters::id(1, 1));
  REQUIRE(answer.status == 200);
  INFO(answer.body);
  CHECK(answer.says(R"("payload":{"b":  1e2, "a":"\ud800", "c":"{}"})"));
  CHECK(answer.says(R"("subscriber_snapshot":{"name": "as it was"})"));
  CHECK(answer.says(R"("last_status":401)"));
  CHECK(answer.says(R"("failed_at":"2026-01-31T08:00:01.123Z")"));
  CHECK_FALSE(validate_json(answer.body, 8).has_value());
  for (const std::string& id : {DeadLetters::id(1, 2), DeadLetters::id(2, 1), to_string(Uuid{}),
                                std::string("x"), to_string(message_id({1, 1}, uuid_random()))}) {
    INFO(id);
    CHECK(hub.get("/dlq/" + id).status == 404);
    CHECK(hub.press("/dlq/" + id + "/retry").status == 404);
    CHECK(hub.send("DELETE", "/dlq/" + id).status == 404);
  }
}

TEST_CASE("a retry is asked for once, and not where it cannot be") {
  DeadLetters hub;
  for (int event = 1; event <= 3; ++event) hub.die(event, 1);
  const auto press = [&](int event, const std::string& body = {}) {
    return hub.press("/dlq/" + DeadLetters::id(event, 1) + "/retry", body);
  };
  CHECK(press(1).status == 202);
  CHECK(press(1).status == 409);
  CHECK(hub.requests() == "1/1");
  CHECK(hub.get("/dlq/" + DeadLetters::id(1, 1)).says(R"("retrying":true)"));
  hub.db.sql("UPDATE dead_letter_queue SET payload = NULL WHERE event_seq = 2");
  CHECK(press(2).status == 410);
  hub.db.sql("UPDATE subscribers SET delivery_guarantee = 'at_most_once'");
  CHECK(press(3).status == 409);
  CHECK(press(3, R"({"force":"true"})").status == 422);
  CHECK(press(3, R"({"force":true})").status == 202);
  hub.db.sql("DELETE FROM redeliveries; DELETE FROM subscribers");
  CHECK(press(3).says("was deleted"));
  CHECK(hub.requests().empty());
}

TEST_CASE("a discard is handed to the owner of the key") {
  DeadLetters hub;
  hub.die(1, 1);
  CHECK(hub.send("DELETE", "/dlq/" + DeadLetters::id(1, 1)).status == 202);
  CHECK(hub.send("DELETE", "/dlq/" + DeadLetters::id(1, 1)).status == 202);
  CHECK(hub.db.query("SELECT event_seq, sid, shard, khash FROM discards") == "1|1|7|1");
}

TEST_CASE("all that match are counted first, then sent again") {
  DeadLetters hub;
  for (int event = 1; event <= 4; ++event) {
    hub.die(event, 1);
    hub.die(event, 2);
  }
  hub.db.sql(
      "UPDATE subscribers SET delivery_guarantee = 'at_most_once' WHERE sid = 2;"
      "INSERT INTO dead_letter_queue (event_seq, sid, shard, message_id, outcome, reason, attempts,"
      " summarised) VALUES (0, 1, 0, '00000000-0000-0000-0000-000000000000', 6, 'x', 0, 9)");
  CHECK(hub.retry_all(R"({"filter":{},"dry_run":true})").body ==
        R"({"matched":9,"retryable":4,"retried":0,"dry_run":true})");
  CHECK(hub.requests().empty());
  CHECK(hub.retry_all(R"({"filter":{"event_type":"type.2"},"dry_run":true,"force":true})").body ==
        R"({"matched":2,"retryable":2,"retried":0,"dry_run":true})");
  const auto some =
      hub.retry_all(R"({"filter":{"since":"2026-01-31T08:00:02Z","last_status":403}})");
  CHECK(some.status == 202);
  CHECK(some.body == R"({"matched":2,"retryable":1,"retried":1,"dry_run":false})");
  CHECK(hub.requests() == "3/1");
  CHECK(hub.retry_all(R"({"filter":{},"rate":0.5})").body ==
        R"({"matched":9,"retryable":3,"retried":3,"dry_run":false})");
  CHECK(hub.requests() == "1/1 2/1 3/1 4/1");
  CHECK(hub.db.query("SELECT event_seq, round(extract(epoch FROM due_at - min(due_at) OVER ())) "
                     "FROM redeliveries WHERE event_seq <> 3 ORDER BY 1") == "1|0\n2|2\n4|4");
}

TEST_CASE("a request to send many again says what it means") {
  DeadLetters hub;
  const auto pointer = [&](const std::string& body) {
    const auto answer = hub.retry_all(body);
    CHECK(answer.status == 422);
    return all(answer, "pointer").at(0);
  };
  CHECK(hub.press("/dlq/retry").status == 422);
  CHECK(pointer("{}") == "#/filter");
  CHECK(pointer(R"({"filter":1})") == "#/filter");
  CHECK(pointer(R"({"filter":{"a":1}})") == "#/filter/a");
  CHECK(pointer(R"({"filter":{"since":"x"}})") == "#/filter/since");
  CHECK(pointer(R"({"filter":{},"rate":0})") == "#/rate");
  CHECK(pointer(R"({"filter":{},"dry_run":1})") == "#/dry_run");
  CHECK(pointer(R"({"filter":{},"dryrun":true})") == "#/dryrun");
  CHECK(hub.retry_all(R"({"filter":{"a":1,"a":2}})").status == 400);
}

TEST_CASE("the export is a line per letter, in pieces of bounded size") {
  DeadLetters hub;
  for (int event = 1; event <= 5; ++event) hub.die(event, 1);
  const auto whole = hub.get("/dlq/export");
  REQUIRE(whole.status == 200);
  CHECK(whole.has("Content-Type: application/x-ndjson"));
  CHECK(whole.head.find("X-Next-Cursor") == std::string::npos);
  std::istringstream lines(whole.body);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    CHECK_FALSE(validate_json(line, 8).has_value());
    CHECK(line.find(R"("payload":{"n": 1.0})") != std::string::npos);
  }
  CHECK(count == 5);
  const auto follow = [&](const std::string& query) {
    Words ids;
    std::string cursor;
    do {
      const auto piece = hub.get("/dlq/export?" + query + cursor);
      for (const auto& id : all(piece, "id")) ids.push_back(id);
      ids.emplace_back("|");
      std::smatch found;
      const bool more =
          std::regex_search(piece.head, found, std::regex("X-Next-Cursor: ([0-9a-f-]+)\r\n"));
      cursor = more ? "&cursor=" + found[1].str() : "";
    } while (!cursor.empty());
    return ids;
  };
  CHECK(follow("limit=2") == Words{DeadLetters::id(5, 1), DeadLetters::id(4, 1), "|",
                                   DeadLetters::id(3, 1), DeadLetters::id(2, 1), "|",
                                   DeadLetters::id(1, 1), "|"});
  CHECK(follow("limit=5&event_type=type.2") == Words{DeadLetters::id(2, 1), "|"});
  // The row that reaches 8 MiB of payload is the last of its piece.
  hub.db.sql(
      "UPDATE dead_letter_queue SET payload = '[\"' || repeat('x', 5000000) || '\"]' "
      "WHERE event_seq >= 3");
  CHECK(follow("") == Words{DeadLetters::id(5, 1), DeadLetters::id(4, 1), "|",
                            DeadLetters::id(3, 1), DeadLetters::id(2, 1), DeadLetters::id(1, 1),
                            "|"});
}

}  // namespace
}  // namespace eventhub
