// Options as text, and what they become in a request.
#include "cli/values.hpp"

#include <filesystem>
#include <fstream>

#include "cli/error.hpp"
#include "cli/query.hpp"
#include "cli/subscriber_members.hpp"
#include "eventhub/core/time_text.hpp"
#include "support/catch.hpp"

namespace eventhub::cli {
namespace {

Values given(std::initializer_list<std::pair<const char*, const char*>> options) {
  Values values;
  for (const auto& [name, value] : options) values.add(name, value);
  return values;
}

TEST_CASE("numbers are whole and within their limits") {
  const Values values = given({{"limit", "7"}, {"bad", "7x"}, {"big", "201"}, {"rate", "0.5"}});
  CHECK(values.integer("limit", 1, 200, 50) == 7);
  CHECK(values.integer("absent", 1, 200, 50) == 50);
  CHECK_THROWS_AS(values.integer("bad", 1, 200, 50), UsageError);
  CHECK_THROWS_WITH(values.integer("big", 1, 200, 50),
                    "--big: \"201\" is not a whole number from 1 to 200");
  CHECK(values.positive("rate") == 0.5);
  CHECK_FALSE(values.positive("absent").has_value());
  for (const char* wrong : {"0", "-1", "nan", "inf", "1/s", ""}) {
    CHECK_THROWS_AS(given({{"rate", wrong}}).positive("rate"), UsageError);
  }
}

TEST_CASE("a time is RFC 3339 or how long ago") {
  const Time now = *parse_time("2026-01-02T12:00:00Z");
  CHECK(time_argument("since", "2026-01-01T00:00:00+01:00", now) == "2026-01-01T00:00:00+01:00");
  CHECK(time_argument("since", "90s", now) == "2026-01-02T11:58:30.000Z");
  CHECK(time_argument("since", "15m", now) == "2026-01-02T11:45:00.000Z");
  CHECK(time_argument("since", "2h", now) == "2026-01-02T10:00:00.000Z");
  CHECK(time_argument("since", "1d", now) == "2026-01-01T12:00:00.000Z");
  for (const char* wrong : {"", "h", "1", "-1h", "1w", "yesterday", "1000000d"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(time_argument("since", wrong, now), UsageError);
  }
}

TEST_CASE("parameters are percent-encoded") {
  Target target("/messages");
  target.add("subscriber", "Zoë & co");
  target.add("status", "dead");
  CHECK(target.text() == "/messages?subscriber=Zo%C3%AB%20%26%20co&status=dead");
}

TEST_CASE("options of a new subscriber become members of the API") {
  const Values values = given({{"name", "User \"Service\""},
                               {"webhook-url", "https://api.example.com/hooks"},
                               {"event-type", "user.*"},
                               {"ordered-by", "organization_id"},
                               {"retry-limit", "5"},
                               {"rate-limit", "0.5"},
                               {"circuit-failures", "10"},
                               {"backoff", "5,30"},
                               {"header", "X-Team:  users "},
                               {"header", "X-Old:"},
                               {"set", "on_dead=block"},
                               {"set", "timeout_ms=null"}});
  CHECK(subscriber_body(values, true) ==
        R"({"name":"User \"Service\"","webhook_url":"https://api.example.com/hooks",)"
        R"("event_type":"user.*","ordering_enabled":true,"ordering_key":"organization_id",)"
        R"("retry_limit":5,"circuit_failures":10,"rate_limit":0.5,)"
        R"("retry_backoff_seconds":[5,30],)"
        R"("headers":{"X-Team":"users","X-Old":null},"on_dead":"block","timeout_ms":null})");
}

TEST_CASE("a change from one pattern to several takes the one away") {
  CHECK(subscriber_body(given({{"event-type", "a"}, {"event-type", "b"}}), false) ==
        R"({"event_types":["a","b"],"event_type":null})");
  CHECK(subscriber_body(given({{"event-type", "a"}}), false) ==
        R"({"event_type":"a","event_types":null})");
  CHECK(subscriber_body(given({{"ordered-by", "none"}}), false) == R"({"ordering_enabled":false})");
}

TEST_CASE("a filter and an organization are given and taken away") {
  CHECK(subscriber_body(given({{"filter", R"({"path":"/a","eq":1})"}, {"org", "org-1"}}), true) ==
        R"({"filter":{"path":"/a","eq":1},"organization_id":"org-1"})");
  CHECK(subscriber_body(given({{"filter", "none"}, {"org", "none"}}), false) ==
        R"({"filter":null,"organization_id":null})");
  CHECK_THROWS_AS(subscriber_body(given({{"filter", "{"}}), false), UsageError);
}

std::string file_with(const std::string& text) {
  const std::string path = std::filesystem::temp_directory_path() / "eventhub_cli_secret";
  std::ofstream(path) << text;
  return path;
}

TEST_CASE("the webhook's password or token comes from a file") {
  const std::string basic = file_with("hub:pass:word\r\n");
  CHECK(subscriber_body(given({{"auth-basic-file", basic.c_str()}}), true) ==
        R"({"auth":{"type":"basic","username":"hub","password":"pass:word"}})");
  const std::string bearer = file_with("a-token\n");
  CHECK(subscriber_body(given({{"auth-bearer-file", bearer.c_str()}}), true) ==
        R"({"auth":{"type":"bearer","token":"a-token"}})");
  CHECK_THROWS_AS(subscriber_body(given({{"auth-basic-file", bearer.c_str()}}), true), UsageError);
  CHECK_THROWS_AS(
      subscriber_body(
          given({{"auth-basic-file", basic.c_str()}, {"auth-bearer-file", bearer.c_str()}}), true),
      UsageError);
  std::filesystem::remove(bearer);
  CHECK_THROWS_AS(subscriber_body(given({{"auth-bearer-file", bearer.c_str()}}), true), UsageError);
}

TEST_CASE("what is no header and no member is refused before anything is asked") {
  for (const char* wrong : {"X-Team", ": users", ""}) {
    CHECK_THROWS_AS(subscriber_body(given({{"header", wrong}}), true), UsageError);
  }
  CHECK_THROWS_AS(subscriber_body(given({{"set", "on_dead"}}), true), UsageError);
  CHECK_THROWS_AS(subscriber_body(given({{"retry-limit", "five"}}), true), UsageError);
  CHECK_THROWS_AS(subscriber_body(given({{"backoff", "1,x"}}), true), UsageError);
}

}  // namespace
}  // namespace eventhub::cli
