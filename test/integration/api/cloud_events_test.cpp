// CloudEvents 1.0 by POST /events and /events/batch, down to the rows in the database.
#include "api_fixture.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;

const std::string kStructured = "Content-Type: application/cloudevents+json; charset=utf-8\r\n";
const std::string kCloudBatch = "Content-Type: application/cloudevents-batch+json\r\n";
const std::string kAttributes =
    "ce-specversion: 1.0\r\nce-source: /shop\r\nce-type: order.placed\r\n";

std::string cloud_event(const std::string& id, const std::string& data) {
  return R"({"specversion":"1.0","source":"/shop","type":"order.placed","organizationid":"o",)"
         R"("id":")" +
         id + R"(","data":)" + data + "}";
}

std::string stored_events(ApiFixture& hub) {
  return hub.db.query(
      "SELECT event_type, version, organization_id, user_id, payload FROM events "
      "ORDER BY event_seq");
}

TEST_CASE("a structured CloudEvent is an event, and its source and id are its key") {
  ApiFixture hub;
  const std::string body = cloud_event("1", "{\"n\" : 1.0}");
  CHECK(hub.send("POST", "/events", kStructured, body).status == 202);
  CHECK(stored_events(hub) == R"(order.placed|v1|o||{"n" : 1.0})");
  const auto again = hub.send("POST", "/events", kStructured, body);
  CHECK(again.status == 200);
  CHECK(again.has("Idempotency-Replayed: true"));
  CHECK(hub.send("POST", "/events", kStructured, cloud_event("1", "{}")).status == 422);
  CHECK(hub.send("POST", "/events", kStructured, cloud_event("2", "{}")).status == 202);
  const auto bad = hub.send("POST", "/events", kStructured, cloud_event("3", "3"));
  CHECK(bad.status == 400);
  CHECK(bad.says(R"("pointer":"#/data")"));
  CHECK(hub.send("POST", "/events", kStructured + "Idempotency-Key: k\r\n", body).status == 400);
  const std::string avro = "Content-Type: application/cloudevents+avro\r\n";
  CHECK(hub.send("POST", "/events", avro, body).status == 415);
}

TEST_CASE("a binary CloudEvent is the same event") {
  ApiFixture hub;
  const std::string headers = kAttributes + "ce-id: 1\r\nce-organizationid: o\r\n";
  const auto sent = hub.send("POST", "/events",
                             headers +
                                 "Content-Type: application/json\r\nce-userid: %C3%A9%20x\r\n"
                                 "traceparent: "
                                 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
                             "{\"n\" : 1.0}");
  CHECK(sent.status == 202);
  CHECK(stored_events(hub) == "order.placed|v1|o|\xC3\xA9 x|{\"n\" : 1.0}");
  CHECK(hub.db.query("SELECT count(traceparent) FROM events") == "1");
  // The key is that of the structured mode, too.
  CHECK(hub.send("POST", "/events", kStructured, cloud_event("1", "{}")).status == 422);
  CHECK(hub.send("POST", "/events", kAttributes + "ce-id: 2\r\n", "[]").status == 202);
  const auto missing = hub.send("POST", "/events", kAttributes, "[]");
  CHECK(missing.status == 400);
  CHECK(missing.says("header ce-id: id is required"));
  const std::string text = "Content-Type: text/plain\r\n";
  CHECK(hub.send("POST", "/events", headers + text, "{}").status == 415);
  const auto broken = hub.send("POST", "/events", headers, "{");
  CHECK(broken.status == 400);
  CHECK(broken.says("not valid JSON"));
  CHECK(hub.db.query("SELECT count(*) FROM events") == "2");
}

TEST_CASE("a batch of CloudEvents is a batch at either path") {
  ApiFixture hub;
  const std::string body = "[" + cloud_event("1", "[1]") + ",{\"specversion\":\"1.0\"}," +
                           cloud_event("1", "[1]") + "," + cloud_event("2", "[2]") + "]";
  for (const char* path : {"/events", "/events/batch"}) {
    const auto answer = hub.send("POST", path, kCloudBatch, body);
    CHECK(answer.status == 200);
    CHECK(answer.says(R"("stored":3,"failed":1)"));
    CHECK(answer.says(R"("pointer":"#/1/id")"));
  }
  CHECK(hub.db.query("SELECT string_agg(payload, ' ' ORDER BY event_seq) FROM events") ==
        "[1] [2]");
  CHECK(hub.send("POST", "/events/batch", kStructured, body).status == 415);
}

}  // namespace
}  // namespace eventhub
