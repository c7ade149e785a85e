// Which hub is meant, and what its refusals look like.
#include "cli/session.hpp"

#include "cli/error.hpp"
#include "support/catch.hpp"

namespace eventhub::cli {
namespace {

ApiPlace place_for(std::initializer_list<std::pair<const char*, const char*>> flags,
                   const Environment& environment) {
  Values values;
  for (const auto& [name, value] : flags) values.add(name, value);
  std::string warning;
  const auto own = [] { return std::string("http://127.0.0.1:3000"); };
  ApiPlace place = api_place(values, environment, own, warning);
  CHECK(warning.empty() == !values.has("key"));
  return place;
}

CallAnswer answer_with(int status, std::string body, CallHeaders headers = {}) {
  headers.emplace_back("Content-Type", "application/problem+json");
  return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}

TEST_CASE("a flag is stronger than a variable, and that than this machine's hub") {
  const Environment variables{{"EVENTHUB_URL", "http://hub:1"}, {"EVENTHUB_API_KEY", "v"}};
  CHECK(place_for({}, {}).url == "http://127.0.0.1:3000");
  CHECK(place_for({}, variables).url == "http://hub:1");
  CHECK(place_for({{"url", "https://other"}}, variables).url == "https://other");
  CHECK(place_for({}, {}).key.empty());
  CHECK(place_for({}, variables).key == "v");
  CHECK(place_for({{"key", "f"}}, variables).key == "f");
  CHECK(place_for({{"timeout", "2"}}, {}).timeout == Millis{2'000});
  CHECK_THROWS_AS(place_for({{"key-file", "/nowhere"}}, {}), UsageError);
  CHECK_THROWS_AS(place_for({}, {{"EVENTHUB_API_KEY_FILE", "/nowhere"}}), UsageError);
  CHECK_THROWS_AS(Session({.url = "ftp://hub", .key = {}, .ca_file = {}}, false), UsageError);
}

TEST_CASE("a refusal says what is wrong with what") {
  CHECK(refusal_text(answer_with(404, R"({"title":"Not Found","detail":"there is no event"})")) ==
        "refused (404 Not Found): there is no event");
  CHECK(
      refusal_text(answer_with(
          422, R"({"title":"Unprocessable Content","detail":"two faults","errors":[)"
               R"({"pointer":"#/a","detail":"is no a"},{"pointer":"#/b","detail":"is no b"}]})")) ==
      "refused (422 Unprocessable Content)\n  #/a: is no a\n  #/b: is no b");
  CHECK(
      refusal_text(answer_with(503, R"({"title":"X","detail":"later"})", {{"Retry-After", "3"}})) ==
      "refused (503 X): later\n  try again in 3 s");
  CHECK(refusal_text({.status = 502, .headers = {}, .body = "<html>"}) == "refused (502)");
  // What answers may not be a hub.
  const std::string hostile = refusal_text(answer_with(
      422, R"({"title":"\u001b[2J","errors":[{"pointer":"\u001b[1m","detail":"\u009b0m"}]})",
      {{"Retry-After", "\x1b[3m"}}));
  CHECK(hostile.find_first_of("\x1b\x9b") == hostile.npos);
}

}  // namespace
}  // namespace eventhub::cli
