// What producers may send and what they are told otherwise: parse_new_event and validate_json.
#include "eventhub/core/json.hpp"

#include "eventhub/core/event_times.hpp"
#include "eventhub/core/time_text.hpp"
#include "json_cases.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

using test::event_body;

std::string refused_at(std::string_view body) {
  const auto result = parse_new_event(body, 64);
  const auto* error = std::get_if<InputError>(&result);
  if (error == nullptr) return "accepted";
  CHECK_FALSE(error->detail.empty());
  return error->pointer;
}

NewEvent accepted(std::string_view body) {
  auto result = parse_new_event(body, 64);
  if (const auto* error = std::get_if<InputError>(&result)) FAIL(error->detail << " in " << body);
  return std::get<NewEvent>(std::move(result));
}

std::string with(std::string_view members) {
  return R"({"event_type":"a","payload":{},)" + std::string(members) + "}";
}

TEST_CASE("every JSON text gets its verdict, and what is accepted keeps its bytes") {
  int checked = 0;
  for (const auto& item : test::json_cases()) {
    ++checked;
    INFO("case " << checked << ": " << item.text.substr(0, 60));
    CHECK(validate_json(item.text, 64).has_value() != item.accepted);
    const auto result = parse_new_event(event_body(item.text), 64);
    REQUIRE(std::holds_alternative<NewEvent>(result) == item.accepted);
    if (!item.accepted) continue;
    const auto first = item.text.find_first_not_of(" \t\r\n");
    const auto last = item.text.find_last_not_of(" \t\r\n");
    CHECK(std::get<NewEvent>(result).payload == item.text.substr(first, last - first + 1));
  }
  CHECK(checked > 200);
}

TEST_CASE("no byte hides in a long string") {
  for (std::size_t at = 0; at < 20; ++at) {
    for (int byte = 0; byte < 0x80; ++byte) {
      std::string text = "[\"01234567890123456789\"]";
      text[2 + at] = static_cast<char>(byte);
      INFO("byte " << byte << " at " << at);
      // A backslash makes an escape of the digit after it (none is valid) or of the closing quote.
      const bool good = byte >= 0x20 && byte != '"' && byte != '\\';
      CHECK(validate_json(text, 64).has_value() != good);
    }
  }
}

TEST_CASE("documents need not be objects") {
  for (const char* text : {"1", "-0.5e3", "\"a\"", "true", "null", " 0 "}) {
    CHECK_FALSE(validate_json(text, 64).has_value());
    CHECK(refused_at(text) == "#");
    CHECK(refused_at(event_body(text)) == "#/payload");
  }
  CHECK(validate_json("[[]]", 1)->detail == "nested deeper than allowed at byte offset 1");
  CHECK_FALSE(validate_json("[[]]", 2).has_value());
  CHECK(validate_json("{\"secret\":tru}", 64)->detail ==
        "not valid JSON: expected a value at byte offset 10");
}

TEST_CASE("every prefix of a valid event is refused") {
  const std::string body =
      R"({"event_type":"user.created","payload":{"a":[1.5e3,true,"\u00e9\\"]},"version":"v2"})";
  for (std::size_t length = 0; length < body.size(); ++length) {
    INFO(length);
    CHECK(refused_at(std::string_view(body).substr(0, length)) == "#");
  }
  accepted(body);
}

TEST_CASE("the envelope is read") {
  const auto event = accepted(
      "\r\n{ \"user_id\" : \"user-123\", \"event_type\":\"user.created\",\"other\":{\"payload\":1},"
      "\"payload\" : {\"z\": 1,  \"a\":2} , \"organization_id\":\"org-456\",\"version\":\"v2\"}  ");
  CHECK(event.event_type == "user.created");
  CHECK(event.payload == "{\"z\": 1,  \"a\":2}");
  CHECK(event.version == "v2");
  CHECK(event.organization_id == "org-456");
  CHECK(event.user_id == "user-123");
  const auto plain = accepted(event_body("[]"));
  CHECK(plain.version == "v1");
  CHECK_FALSE(plain.organization_id.has_value());
  CHECK_FALSE(plain.user_id.has_value());
}

TEST_CASE("null stands for an absent optional member") {
  const auto event = accepted(with(R"("version":null,"organization_id":null,"user_id":null,)"
                                   R"("deliver_after":null,"expires_at": null)"));
  CHECK(event.version == "v1");
  CHECK_FALSE(event.organization_id.has_value());
  CHECK(refused_at(R"({"event_type":null,"payload":{}})") == "#/event_type");
  CHECK(refused_at(R"({"event_type":"a","payload":null})") == "#/payload");
  CHECK(refused_at(with(R"("user_id":nul)")) == "#");
}

TEST_CASE("escapes in the envelope mean what they say") {
  const auto event = accepted(
      R"({"event\u005ftype":"a\u002eb\/c","payload":{},"user_id":"\u00e9\ud83d\ude00 \"\\"})");
  CHECK(event.event_type == "a.b/c");
  CHECK(event.user_id == "\xC3\xA9\xF0\x9F\x98\x80 \"\\");
}

TEST_CASE("required members and their forms") {
  CHECK(refused_at("{}") == "#/event_type");
  CHECK(refused_at(R"({"payload":{}})") == "#/event_type");
  CHECK(refused_at(R"({"event_type":"a"})") == "#/payload");
  CHECK(refused_at("[]") == "#");
  CHECK(refused_at(R"([{"event_type":"a","payload":{}}])") == "#");
  for (const char* type : {"\"\"", "\"a b\"", "\"a\\u0000\"", "\"a\\n\"", "\"\xC3\xA9\"", "\"a*\"",
                           "\"a,b\"", "1", "true", "[]", "{}", "[\"a\"]"}) {
    INFO(type);
    CHECK(refused_at(R"({"payload":{},"event_type":)" + std::string(type) + "}") == "#/event_type");
  }
  accepted(R"({"payload":{},"event_type":"AZaz09_.:/-"})");
  accepted(R"({"payload":{},"event_type":")" + std::string(255, 'a') + "\"}");
  CHECK(refused_at(R"({"payload":{},"event_type":")" + std::string(256, 'a') + "\"}") ==
        "#/event_type");
}

TEST_CASE("optional members are text within their limits") {
  for (const char* name : {"organization_id", "user_id"}) {
    const auto member = [name](std::string_view value) {
      return with("\"" + std::string(name) + "\":" + std::string(value));
    };
    const std::string pointer = "#/" + std::string(name);
    accepted(member("\"org-456\""));
    accepted(member("\"" + std::string(255, 'x') + "\""));
    accepted(member("\"" + test::repeated("\xE2\x82\xAC", 255) + "\""));
    for (const char* value : {"456", "\"\"", "true", "{}", "[]", "\"a\\u0000b\"", "\"\\n\"",
                              "\"\\u007f\"", "\"\x7F\"", "\"\\u0085\"", "\"\xC2\x85\"",
                              "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud800x\""}) {
      INFO(value);
      CHECK(refused_at(member(value)) == pointer);
    }
    CHECK(refused_at(member("\"" + std::string(256, 'x') + "\"")) == pointer);
    CHECK(refused_at(member("\"" + test::repeated("\xE2\x82\xAC", 256) + "\"")) == pointer);
  }
  accepted(with("\"version\":\"" + std::string(64, '1') + "\""));
  for (const char* value : {"1", "\"\"", "\" v1\"", "\"v1\\r\\nX-Evil: 1\"", "\"\xC3\xA9\""}) {
    CHECK(refused_at(with("\"version\":" + std::string(value))) == "#/version");
  }
  CHECK(refused_at(with("\"version\":\"" + std::string(65, '1') + "\"")) == "#/version");
}

TEST_CASE("times are RFC 3339 with any offset") {
  const auto event = accepted(
      with(R"("deliver_after":"2030-01-01T02:00:00+02:00","expires_at":"2030-01-01T00:00:01Z")"));
  REQUIRE(event.timed());
  CHECK(format_time(*event.deliver_after) == "2030-01-01T00:00:00.000Z");
  CHECK(*event.expires_at - *event.deliver_after == Seconds{1});
  CHECK_FALSE(accepted(with(R"("user_id":"u")")).timed());
  for (const char* name : {"deliver_after", "expires_at"}) {
    for (const char* value : {"1893456000", "\"\"", "\"tomorrow\"", "\"2030-01-01\"",
                              "\"2030-01-01T00:00:00\"", "\"2030-02-30T00:00:00Z\"", "{}"}) {
      INFO(value);
      CHECK(refused_at(with("\"" + std::string(name) + "\":" + value)) == "#/" + std::string(name));
    }
  }
}

// What wrong_times() says of an event with these times, in seconds from now.
std::string time_fault(std::optional<int> deliver_after, std::optional<int> expires_at,
                       bool cloud = false) {
  const Time now{Seconds{1'800'000'000}};
  NewEvent event;
  if (deliver_after) event.deliver_after = now + Seconds{*deliver_after};
  if (expires_at) event.expires_at = now + Seconds{*expires_at};
  const auto fault = wrong_times(event, {now, Seconds{3'600}, cloud});
  return fault ? fault->pointer + " " + fault->detail : "";
}

TEST_CASE("deliver_after may be past or up to its limit, expires_at comes after both") {
  CHECK(time_fault({}, {}).empty());
  CHECK(time_fault(-5, {}).empty());
  CHECK(time_fault(3'600, {}).empty());
  CHECK(time_fault(3'601, {}) ==
        "#/deliver_after deliver_after must be at most 3600 seconds ahead");
  CHECK(time_fault({}, 1).empty());
  CHECK(time_fault({}, 0) == "#/expires_at expires_at must not be past");
  CHECK(time_fault(-5, -1) == "#/expires_at expires_at must not be past");
  CHECK(time_fault(10, 11).empty());
  CHECK(time_fault(10, 10) == "#/expires_at expires_at must be later than deliver_after");
  CHECK(time_fault(10, 10, true) == "#/expiresat expiresat must be later than deliverafter");
}

TEST_CASE("a member of the envelope comes once") {
  CHECK(refused_at(with(R"("event_type":"a")")) == "#/event_type");
  CHECK(refused_at(with(R"("payload":{})")) == "#/payload");
  CHECK(refused_at(with(R"("\u0070ayload":{})")) == "#/payload");
  CHECK(refused_at(with(R"("user_id":"a","user\u005fid":"a")")) == "#/user_id");
  CHECK(refused_at(with(R"("user_id":null,"user_id":"a")")) == "#/user_id");
  accepted(with(R"("unknown":1,"unknown":2,"Payload":3,"payload ":4,"\ud800":5)"));
  CHECK(refused_at(with(R"("unknown":tru)")) == "#");
}

TEST_CASE("depth counts the whole body") {
  const auto nested = [](int depth) {
    return event_body(test::repeated("[", depth) + test::repeated("]", depth));
  };
  accepted(nested(63));
  CHECK(refused_at(nested(64)) == "#");
}

TEST_CASE("strings are written as JSON") {
  std::string out;
  append_json_string(out, std::string_view("a\"\\/\n\x01\x1F\x7F\xC3\xA9\0z", 12));
  CHECK(out == "\"a\\\"\\\\/\\u000a\\u0001\\u001f\x7F\xC3\xA9\\u0000z\"");
  CHECK_FALSE(validate_json(out, 1).has_value());
}

}  // namespace
}  // namespace eventhub
