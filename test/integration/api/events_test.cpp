// POST /events over HTTP, down to the row in the database.
#include <regex>

#include "api_fixture.hpp"
#include "eventhub/core/json.hpp"
#include "unit/core/json_cases.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;
using test::event_body;

std::string id_of(const Answer& answer) {
  std::smatch match;
  const std::regex id(
      R"re("event_id":"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})")re");
  return std::regex_search(answer.body, match, id) ? match[1].str() : "none";
}

TEST_CASE("the README's event is accepted and stored") {
  ApiFixture hub;
  const auto answer =
      hub.post(R"({"event_type":"user.created","payload":{"user_id":123,"email":"a@b.c"},)"
               R"("version":"v1","organization_id":"org-456","user_id":"user-123"})",
               "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
  CHECK(answer.status == 202);
  CHECK(answer.has("Content-Type: application/json"));
  CHECK(answer.has("Cache-Control: no-store"));
  CHECK(answer.has("X-Content-Type-Options: nosniff"));
  CHECK(std::regex_match(
      answer.body,
      std::regex(R"re(\{"event_id":"[0-9a-f-]{36}",)re"
                 R"re("message":"Event accepted for processing","latency_ms":\d+\})re")));
  CHECK(
      hub.db.query("SELECT id, event_type, organization_id, user_id, version, traceparent, payload "
                   "FROM events") == id_of(answer) +
                                         "|user.created|org-456|user-123|v1|"
                                         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01|"
                                         R"({"user_id":123,"email":"a@b.c"})");
  CHECK(hub.get("/metrics").says("eventhub_events_received_total{"));
}

TEST_CASE("every accepted payload is stored byte for byte, every refused one changes nothing") {
  ApiFixture hub;
  std::string expected;  // VALUES of id and payload in hex
  int accepted = 0;
  for (const auto& item : test::json_cases()) {
    INFO(item.text.substr(0, 80));
    const auto answer = hub.post(event_body(item.text));
    REQUIRE(answer.status == (item.accepted ? 202 : 400));
    if (!item.accepted) {
      CHECK(answer.has("Content-Type: application/problem+json"));
      CHECK_FALSE(validate_json(answer.body, 8).has_value());
      continue;
    }
    ++accepted;
    const auto first = item.text.find_first_not_of(" \t\r\n");
    const auto last = item.text.find_last_not_of(" \t\r\n");
    expected += (expected.empty() ? "('" : ",('") + id_of(answer) + "','";
    for (const char c : item.text.substr(first, last - first + 1)) {
      expected += fmt::format("{:02x}", static_cast<unsigned char>(c));
    }
    expected += "')";
  }
  CHECK(hub.db.query("SELECT count(*) FROM events JOIN (VALUES " + expected +
                     ") v(id, hex) ON events.id = v.id::uuid "
                     "WHERE encode(convert_to(payload, 'UTF8'), 'hex') = hex") ==
        std::to_string(accepted));
  CHECK(hub.db.query("SELECT count(*) FROM events") == std::to_string(accepted));
}

TEST_CASE("a bad event is told what and where") {
  ApiFixture hub;
  const auto answer = hub.post(R"({"event_type":"secret value","payload":{}})");
  CHECK(answer.status == 400);
  CHECK(answer.says(R"("status":400)"));
  CHECK(answer.says(R"("pointer":"#/event_type")"));
  CHECK(answer.says(R"("error":"event_type must be)"));
  CHECK_FALSE(answer.says("secret"));
  CHECK(hub.post("").status == 400);
  CHECK(hub.post(R"({"event_type":"a","payload":{},"deliver_after":"9999-01-01T00:00:00Z"})")
            .status == 400);
}

TEST_CASE("a key replays, another request with it is refused") {
  ApiFixture hub;
  const auto first = hub.post(event_body("{}"), "Idempotency-Key: \"k 1\"\r\n");
  CHECK(first.status == 202);
  const auto replay = hub.post(event_body("{}"), "X-Idempotency-Key: k 1\r\n");
  CHECK(replay.status == 200);
  CHECK(id_of(replay) == id_of(first));
  CHECK(replay.has("Idempotency-Replayed: true"));
  CHECK(replay.says(R"("message":"Event already exists")"));
  const auto other = hub.post(event_body("{ }"), "Idempotency-Key: k 1\r\n");
  CHECK(other.status == 422);
  CHECK(hub.post(event_body("{}"), "Idempotency-Key: a\r\nX-Idempotency-Key: b\r\n").status == 400);
  CHECK(hub.post(event_body("{}"), "Idempotency-Key: \r\n").status == 400);
  CHECK(hub.post(event_body("{}"), "Idempotency-Key: " + std::string(256, 'x') + "\r\n").status ==
        400);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1");
}

TEST_CASE("40 requests with one key at once: one event, one id") {
  std::vector<std::string> answers;
  ApiFixture hub;
  const auto text = ApiFixture::request_text(
      "POST", "/events", "Content-Type: application/json\r\nIdempotency-Key: k\r\n",
      event_body("[]"));
  for (int i = 0; i < 40; ++i) {
    spawn(test::executor_of(hub.io), "client",
          [](std::uint16_t port, std::string request, std::vector<std::string>* all) -> Task<void> {
            auto answer = co_await ApiFixture::exchange(port, std::move(request));
            all->push_back(std::move(answer));
          }(hub.port, text, &answers));
  }
  hub.until([&] { return answers.size() == 40; });
  std::map<int, int> statuses;
  const std::string only = hub.db.query("SELECT id FROM events");
  for (const auto& raw : answers) {
    const auto answer = ApiFixture::read(raw);
    ++statuses[answer.status];
    CHECK(id_of(answer) == only);
  }
  CHECK(statuses == std::map<int, int>{{200, 39}, {202, 1}});
}

TEST_CASE("media types, paths and methods") {
  ApiFixture hub;
  const std::string body = event_body("{}");
  CHECK(hub.send("POST", "/events", "Content-Type: text/plain\r\n", body).status == 415);
  CHECK(hub.send("POST", "/events", "", body).status == 415);
  const std::string json = "Content-Type: application/json\r\n";
  CHECK(hub.send("POST", "/events", json + json, body).status == 400);
  CHECK(hub.send("POST", "/events", "Content-Type: text/plain\r\n" + json, body).status == 400);
  CHECK(hub.send("POST", "/events?x=1", json, body).status == 202);
  CHECK(hub.send("POST", "/nothing", "", body).status == 404);
  const auto wrong = hub.send("PUT", "/events");
  CHECK(wrong.status == 405);
  CHECK(wrong.has("Allow: POST, GET, HEAD"));
  CHECK(hub.send("BREW", "/events").status == 501);
  const auto metrics = hub.get("/metrics");
  CHECK(metrics.says(R"(route="unmatched")"));
  CHECK_FALSE(metrics.says("nothing"));
}

TEST_CASE("the largest body is taken, one byte more is not") {
  ApiFixture hub;
  const std::string frame = event_body("[\"\"]");
  const std::size_t max = static_cast<std::size_t>(hub.config.server.body_bytes_max);
  const auto body = [&](std::size_t size) {
    return event_body("[\"" + std::string(size - frame.size(), 'x') + "\"]");
  };
  CHECK(hub.post(body(max)).status == 202);
  CHECK(hub.post(body(max + 1)).status == 413);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1");
}

TEST_CASE("a process without the role api says so") {
  ApiFixture hub({}, false);
  const auto answer = hub.post(event_body("{}"));
  CHECK(answer.status == 404);
  CHECK(answer.says("role api"));
  CHECK(hub.get("/health").status == 200);
}

TEST_CASE("a stopping process sends producers away") {
  ApiFixture hub;
  hub.health.draining = true;
  const auto answer = hub.post(event_body("{}"));
  CHECK(answer.status == 503);
  CHECK(answer.has("Retry-After: 1"));
  CHECK(answer.has("Connection: close"));
  CHECK(hub.db.query("SELECT count(*) FROM events") == "0");
}

}  // namespace
}  // namespace eventhub
