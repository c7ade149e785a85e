// POST /events/batch over HTTP, down to the rows in the database.
#include <fmt/format.h>

#include <regex>

#include "api_fixture.hpp"
#include "eventhub/core/json.hpp"

#include "unit/core/json_cases.hpp"
namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;
using test::event_body;

const std::string kArray = "Content-Type: application/json\r\n";
const std::string kLines = "Content-Type: application/x-ndjson; charset=utf-8\r\n";

Answer post_batch(ApiFixture& hub, const std::string& body, const std::string& headers = kArray) {
  return hub.send("POST", "/events/batch", headers, body);
}

std::string numbered(int number, const std::string& more = {}) {
  return R"({"event_type":"a","payload":[)" + std::to_string(number) + "]" + more + "}";
}

std::string keyed(int number, const std::string& key) {
  return numbered(number, R"(,"idempotency_key":")" + key + "\"");
}

std::string statuses(const Answer& answer) {
  std::string all;
  const std::regex each(R"re("index":\d+,"status":(\d+))re");
  for (std::sregex_iterator at(answer.body.begin(), answer.body.end(), each), end; at != end; ++at)
    all += (all.empty() ? "" : " ") + (*at)[1].str();
  return all;
}

std::vector<std::string> ids(const Answer& answer) {
  std::vector<std::string> all;
  const std::regex each(R"re("event_id":"([0-9a-f-]{36})")re");
  for (std::sregex_iterator at(answer.body.begin(), answer.body.end(), each), end; at != end; ++at)
    all.push_back((*at)[1]);
  return all;
}

std::string stored_payloads(ApiFixture& hub) {
  return hub.db.query("SELECT string_agg(payload, ' ' ORDER BY event_seq) FROM events");
}

TEST_CASE("a batch is one transaction, in its order, and a bad item fails alone") {
  ApiFixture hub;
  const auto answer = post_batch(
      hub,
      "[" + numbered(1) + ", {\"event_type\":\"a\"},\n" + numbered(2, R"(,"user_id":"u")") + ",7," +
          numbered(3) + "]",
      kArray + "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
  CHECK(answer.status == 200);
  CHECK_FALSE(validate_json(answer.body, 8).has_value());
  CHECK(statuses(answer) == "202 400 202 400 202");
  CHECK(answer.says(R"("detail":"payload is required","pointer":"#/1/payload"})"));
  CHECK(answer.says(R"("pointer":"#/3"})"));
  CHECK(answer.says(R"("stored":3,"failed":2,"latency_ms":)"));
  CHECK(stored_payloads(hub) == "[1] [2] [3]");
  CHECK(hub.db.query("SELECT string_agg(id::text, ' ' ORDER BY event_seq) FROM events") ==
        fmt::format("{}", fmt::join(ids(answer), " ")));
  CHECK(hub.db.query("SELECT count(DISTINCT xmin::text), count(traceparent), max(user_id) "
                     "FROM events") == "1|3|u");
  CHECK(hub.get("/metrics").says(R"(eventhub_events_received_total{event_type="a"} 3)"));
}

TEST_CASE("lines are a batch as an array is, but for a line that is no JSON") {
  ApiFixture hub;
  const auto answer =
      post_batch(hub, numbered(1) + "\r\n\n{\"event_type\":\n" + numbered(2), kLines);
  CHECK(answer.status == 200);
  CHECK(statuses(answer) == "202 400 202");
  CHECK(answer.says(R"("pointer":"#/1"})"));
  CHECK(stored_payloads(hub) == "[1] [2]");
  const auto empty = post_batch(hub, "", kLines);
  CHECK(empty.body.starts_with(R"({"data":[],"stored":0,"failed":0,)"));
  CHECK(post_batch(hub, "[]").says(R"({"data":[],)"));
}

TEST_CASE("a body that is no batch is refused as a whole") {
  ApiFixture hub([](Config& config) { config.ingest.request_events_max = 3; });
  CHECK(post_batch(hub, "[" + numbered(1) + "," + numbered(2) + "").status == 400);
  CHECK(post_batch(hub, numbered(1)).says("the body must be a JSON array"));
  CHECK(post_batch(hub, "").status == 400);
  const std::string three = numbered(1) + "," + numbered(2) + "," + numbered(3);
  const auto many = post_batch(hub, "[" + three + "," + numbered(4) + "]");
  CHECK(many.status == 413);
  CHECK(many.says("at most 3 events"));
  CHECK(post_batch(hub, "1\n2\n3\n4\n", kLines).status == 413);
  CHECK(post_batch(hub, "[]", "Content-Type: text/plain\r\n").status == 415);
  CHECK(post_batch(hub, "[]", "").status == 415);
  CHECK(post_batch(hub, "[]", kArray + kLines).status == 400);
  CHECK(post_batch(hub, "[]", kArray + "Idempotency-Key: k\r\n").says("idempotency_key"));
  CHECK(post_batch(hub, "[]", kArray + "X-Idempotency-Key: k\r\n").status == 400);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "0");
  CHECK(statuses(post_batch(hub, "[" + three + "]")) == "202 202 202");
  CHECK(hub.send("PUT", "/events/batch").has("Allow: POST"));
}

TEST_CASE("keys of a batch are those of single events") {
  ApiFixture hub;
  const auto single = hub.post(numbered(1), "Idempotency-Key: one\r\n");
  const std::string body = "[" + keyed(1, "one") + "," + keyed(2, "two") + "," + keyed(2, "two") +
                           "," + keyed(3, "two") + "," + keyed(9, "one") + "," + numbered(4) + "]";
  const auto first = post_batch(hub, body);
  CHECK(statuses(first) == "200 202 200 422 422 202");
  const auto first_ids = ids(first);
  REQUIRE(first_ids.size() == 4);
  CHECK(first_ids[0] == ids(single)[0]);
  CHECK(first_ids[1] == first_ids[2]);
  CHECK(first.says(R"("pointer":"#/4/idempotency_key"})"));
  CHECK(stored_payloads(hub) == "[1] [2] [4]");
  const auto again = post_batch(hub, body);
  CHECK(statuses(again) == "200 200 200 422 422 202");
  CHECK(ids(again)[1] == first_ids[1]);
  const auto later = hub.post(numbered(2), "Idempotency-Key: two\r\n");
  CHECK(later.status == 200);
  CHECK(ids(later)[0] == first_ids[1]);
}

TEST_CASE("a thousand events are one commit, whatever shares it") {
  ApiFixture hub([](Config& config) { config.server.body_bytes_max = 2 << 20; });
  std::string body = "[" + numbered(0);
  for (int i = 1; i < 1'000; ++i) body += "," + numbered(i);
  const auto answer = post_batch(hub, body + "]");
  CHECK(answer.says(R"("stored":1000,"failed":0)"));
  CHECK(hub.db.query("SELECT count(DISTINCT xmin::text), count(*), "
                     "bool_and(payload = '[' || event_seq - lo || ']') FROM events, "
                     "(SELECT min(event_seq) AS lo FROM events) x") == "1|1000|t");
  CHECK(post_batch(hub, body + "," + numbered(0) + "]").status == 413);
}

TEST_CASE("a batch without a database is answered as a whole") {
  ApiFixture hub([](Config& config) { config.ingest.queue_bytes_max = 1 << 10; });
  const std::string large = event_body("[\"" + std::string(3'000, 'x') + "\"]");
  CHECK(post_batch(hub, "[" + large + "]").says(R"("stored":1)"));  // an empty queue takes anything
  test::PrivatePostgres::server().crash();
  const auto answer = post_batch(hub, "[" + numbered(1) + ",7]");
  CHECK(answer.status == 503);
  CHECK(answer.has("Retry-After: 1"));
  test::PrivatePostgres::server().start();
  hub.until([&] { return hub.ingests[0]->connected(); });
  CHECK(statuses(post_batch(hub, "[" + numbered(1) + ",7]")) == "202 400");
  CHECK(stored_payloads(hub).ends_with("[1]"));
}

}  // namespace
}  // namespace eventhub
