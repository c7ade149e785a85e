// CloudEvents 1.0 as they come in: what of them is an event, and what is refused.
#include "eventhub/core/cloud_event.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr const char* kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string structured(const std::string& members) {
  return R"({"specversion":"1.0","id":"1","source":"/s","type":"a.b")" + members + "}";
}

CloudEvent cloud_of(const std::string& text) {
  auto read = parse_cloud_event(text, 64);
  if (const auto* error = std::get_if<InputError>(&read)) FAIL(error->detail << " in " << text);
  return std::get<CloudEvent>(std::move(read));
}

std::string cloud_fault(const std::string& text) {
  const auto read = parse_cloud_event(text, 64);
  const auto* error = std::get_if<InputError>(&read);
  return error == nullptr ? "" : error->pointer + " " + error->detail;
}

CloudAttributes required_ones() {
  return {{"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "a.b"}};
}

std::string binary_fault(const CloudAttributes& attributes, std::string_view data) {
  const auto read = make_cloud_event(attributes, data, 64);
  const auto* error = std::get_if<InputError>(&read);
  return error == nullptr ? "" : error->pointer + " " + error->detail;
}

TEST_CASE("cloud: a structured event keeps its data's bytes and the members that the hub has") {
  const auto plain = cloud_of(structured(R"(,"data": { "b" : 1e999, "a":"\u0000" } )"));
  CHECK(plain.id == "1");
  CHECK(plain.source == "/s");
  CHECK(plain.event.event_type == "a.b");
  CHECK(plain.event.version == "v1");
  CHECK(plain.event.payload == R"({ "b" : 1e999, "a":"\u0000" })");
  CHECK_FALSE(plain.event.organization_id.has_value());
  CHECK_FALSE(plain.event.traceparent.has_value());
  const auto full = cloud_of(structured(
      R"(,"data":[],"datacontenttype":"application/vnd.x+json; charset=utf-8","subject":"x",)"
      R"("time":"2026-01-01T00:00:00Z","organizationid":"org \u00e9",)"
      R"("userid":"u","eventversion":2,)"
      R"("other":true,"none":null,"traceparent":")" +
      std::string(kTrace) + "\""));
  CHECK(full.event.organization_id == "org \xC3\xA9");
  CHECK(full.event.user_id == "u");
  CHECK(full.event.version == "2");
  CHECK(full.event.traceparent == kTrace);
}

TEST_CASE("cloud: times are extensions") {
  const auto event = cloud_of(structured(R"(,"data":[],"deliverafter":"2030-01-01T00:00:00Z",)"
                                         R"("expiresat":"2030-01-01T00:00:01Z")"))
                         .event;
  REQUIRE(event.deliver_after.has_value());
  CHECK(event.expires_at == *event.deliver_after + Seconds{1});
}

TEST_CASE("cloud: what is no event of the hub is refused, and it is told where") {
  const std::string data = R"(,"data":{})";
  CHECK(cloud_fault(structured(data)).empty());
  CHECK(cloud_fault("[]") == "# the body must be a JSON object");
  CHECK(cloud_fault("{").starts_with("# not valid JSON"));
  CHECK(cloud_fault("{}") == "#/specversion specversion is required");
  CHECK(cloud_fault(structured("")) == "#/data data is required");
  CHECK(cloud_fault(structured(data + R"(,"id":"2")")) == "# a member is given more than once");
  for (const char* value : {"1", "\"x\"", "null", "true"}) {
    CHECK(cloud_fault(structured(R"(,"data":)" + std::string(value))) ==
          "#/data data must be a JSON object or array");
  }
  CHECK(cloud_fault(structured(R"(,"data_base64":"e30=")")).starts_with("#/data_base64 "));
  CHECK(cloud_fault(structured(data + R"(,"datacontenttype":"text/plain")"))
            .starts_with("#/datacontenttype "));
  CHECK(cloud_fault(structured(data + R"(,"organizationid":"")")).starts_with("#/organizationid "));
  CHECK(cloud_fault(structured(data + R"(,"userid":"a\nb")")).starts_with("#/userid "));
  CHECK(cloud_fault(structured(data + R"(,"eventversion":" 1")")).starts_with("#/eventversion "));
  CHECK(cloud_fault(structured(data + R"(,"deliverafter":"soon")")).starts_with("#/deliverafter "));
  CHECK(cloud_fault(structured(data + R"(,"expiresat":1)")).starts_with("#/expiresat "));
  for (const char* text :
       {R"({"specversion":"0.3","id":"1","source":"s","type":"a","data":{}})",
        R"({"specversion":1.0,"id":"","source":"s","type":"a","data":{}})",
        R"({"specversion":"1.0","id":"","source":"s","type":"a","data":{}})",
        R"({"specversion":"1.0","id":"1","source":"","type":"a","data":{}})",
        R"({"specversion":"1.0","id":"1","source":{},"type":"a","data":{}})",
        R"({"specversion":"1.0","id":"a\u0000","source":"s","type":"a","data":{}})",
        R"({"specversion":"1.0","id":"1","source":"s\n","type":"a","data":{}})",
        R"({"specversion":"1.0","id":"1","source":"s","type":"a b","data":{}})",
        R"({"specversion":"1.0","id":"1","source":"s","data":{}})"}) {
    INFO(text);
    CHECK(cloud_fault(text).starts_with("#/"));
  }
}

TEST_CASE("cloud: a binary event has its data in the body") {
  CloudAttributes all = required_ones();
  all.insert(all.end(), {{"datacontenttype", "application/json"}, {"organizationid", "o"}});
  auto read = make_cloud_event(all, " {\"n\": 1.0}\n", 64);
  REQUIRE(std::holds_alternative<CloudEvent>(read));
  CHECK(std::get<CloudEvent>(read).event.payload == "{\"n\": 1.0}");
  CHECK(std::get<CloudEvent>(read).event.organization_id == "o");
  CHECK(binary_fault(required_ones(), "[]").empty());
  CHECK(binary_fault(required_ones(), "").starts_with("# not valid JSON"));
  CHECK(binary_fault(required_ones(), "1") == "# the data must be a JSON object or array");
  CHECK(binary_fault(required_ones(), "{} {}").starts_with("# not valid JSON"));
  CloudAttributes xml = required_ones();
  xml.emplace_back("datacontenttype", "application/xml");
  CHECK(binary_fault(xml, "{}").starts_with("#/datacontenttype "));
}

TEST_CASE("cloud: media types of JSON") {
  for (const char* type : {"application/json", "Application/JSON ; charset=utf-8", "text/json",
                           "application/cloudevents+json", "a/b+json"}) {
    CHECK(is_json_media_type(type));
  }
  for (const char* type : {"", "json", "application/jsonx", "application/xml", "text/plain"}) {
    CHECK_FALSE(is_json_media_type(type));
  }
}

}  // namespace
}  // namespace eventhub
