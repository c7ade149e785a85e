// The headers of POST /events.
#include "api/request_headers.hpp"

#include "support/catch.hpp"

namespace eventhub::api {
namespace {

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

http::Request with(Headers headers) {
  http::Request request;
  request.headers = std::move(headers);
  return request;
}

bool json(std::string_view type) {
  return is_json(with({{"content-type", type}}));
}

// The key, "none" or "refused".
std::string key(Headers headers) {
  const auto result = idempotency_key(with(std::move(headers)));
  if (std::holds_alternative<InputError>(result)) return "refused";
  return std::get<0>(result).value_or("none");
}
std::string key(std::string_view value) {
  return key({{"Idempotency-Key", value}});
}

std::string trace(std::string_view value) {
  return traceparent(with({{"traceparent", value}})).value_or("none");
}

TEST_CASE("JSON by any spelling of its media type, and by nothing else") {
  CHECK_FALSE(is_json(with({})));
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json;charset=utf-8", " application/json ;x=y"}) {
    CHECK(json(type));
  }
  for (const char* type :
       {"", "text/plain", "application/jsonp", "application/problem+json",
        "application/x-www-form-urlencoded", "json", "application/json, text/plain"}) {
    INFO(type);
    CHECK_FALSE(json(type));
  }
}

TEST_CASE("idempotency keys come bare or quoted, in either header") {
  CHECK(key(Headers{}) == "none");
  CHECK(key("abc") == "abc");
  CHECK(key({{"x-idempotency-key", "abc"}}) == "abc");
  CHECK(key("\"abc\"") == "abc");
  CHECK(key(R"("a\"b\\c")") == R"(a"b\c)");
  CHECK(key("a b") == "a b");
  CHECK(key("a\"b\"") == "a\"b\"");
  CHECK(key({{"X-Idempotency-Key", "abc"}, {"Idempotency-Key", "\"abc\""}}) == "abc");
  CHECK(key(std::string(255, 'k')) == std::string(255, 'k'));
}

TEST_CASE("bad idempotency keys are refused") {
  for (const char* value : {"", " ", "\"\"", "\"abc", "\"", "\"a\"b\"", R"("a\b")", R"("a\")",
                            "a\tb", "\x7F", "\xC3\xA9", "\"\xC3\xA9\"", "\"abc\";p=1"}) {
    INFO(value);
    CHECK(key(value) == "refused");
  }
  CHECK(key(std::string(256, 'k')) == "refused");
  CHECK(key({{"X-Idempotency-Key", "abc"}, {"Idempotency-Key", "abd"}}) == "refused");
  CHECK(key({{"Idempotency-Key", "abc"}, {"Idempotency-Key", "abd"}}) == "refused");
}

TEST_CASE("trace context is taken when it is valid and ignored otherwise") {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  CHECK(trace(good) == good);
  CHECK(trace("01" + good.substr(2)) == good);
  CHECK(trace("01" + good.substr(2) + "-more") == good);
  CHECK(trace("") == "none");
  CHECK(trace(good + "-more") == "none");
  CHECK(trace("01" + good.substr(2) + "more") == "none");
  CHECK(trace("ff" + good.substr(2)) == "none");
  CHECK(trace(good.substr(0, 54)) == "none");
  CHECK(trace("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01") == "none");
  CHECK(trace("00-" + std::string(32, '0') + "-b7ad6b7169203331-01") == "none");
  CHECK(trace("00-0af7651916cd43dd8448eb211c80319c-" + std::string(16, '0') + "-01") == "none");
  CHECK(trace("00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01") == "none");
  CHECK_FALSE(traceparent(with({{"traceparent", good}, {"traceparent", good}})).has_value());
  CHECK_FALSE(traceparent(with({})).has_value());
}

// The attribute's text, "absent" or "refused".
std::string attribute(const char* name, std::string_view value) {
  const auto read = cloud_attributes(with({{"Ce-Subject", value}}));
  if (std::holds_alternative<InputError>(read)) return "refused";
  for (const auto& [found, text] : std::get<CloudAttributes>(read)) {
    if (found == name) return text;
  }
  return "absent";
}

TEST_CASE("the Content-Type tells how a request carries CloudEvents, or a header does") {
  const auto mode = [](std::string_view type) {
    return cloud_mode(with({{"Content-Type", type}}));
  };
  CHECK(mode("application/cloudevents+json") == CloudMode::structured);
  CHECK(mode("Application/CloudEvents+avro; x=y") == CloudMode::structured);
  CHECK(mode("application/cloudevents-batch+json") == CloudMode::batch);
  CHECK(mode("application/json") == CloudMode::none);
  CHECK(cloud_mode(with({})) == CloudMode::none);
  CHECK(cloud_mode(with({{"ce-id", "1"}})) == CloudMode::none);
  CHECK(cloud_mode(with({{"Ce-SpecVersion", "1.0"}})) == CloudMode::binary);
}

TEST_CASE("attributes of headers are percent-encoded UTF-8") {
  CHECK(attribute("subject", "plain") == "plain");
  CHECK(attribute("subject", " a%20b%C3%A9%25 ") == "a b\xC3\xA9%");
  CHECK(attribute("subject", R"("a \" b")") == "a \" b");
  CHECK(attribute("other", "x") == "absent");
  for (const char* value : {"%", "%4", "%zz", "%FF", "\"open", "\xFF"}) {
    INFO(value);
    CHECK(attribute("subject", value) == "refused");
  }
  const auto type = cloud_attributes(with({{"content-type", "text/json"}}));
  CHECK(std::get<CloudAttributes>(type) == CloudAttributes{{"datacontenttype", "text/json"}});
  const auto twice = cloud_attributes(with({{"ce-id", "1"}, {"CE-ID", "1"}}));
  CHECK(std::get<InputError>(twice).pointer == "#/id");
}

}  // namespace
}  // namespace eventhub::api
