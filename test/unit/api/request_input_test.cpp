// What management requests say in path, query and body.
#include "api/request_input.hpp"

#include "api/cursor.hpp"
#include "support/catch.hpp"

namespace eventhub::api {
namespace {

http::Request with_query(std::string_view query) {
  http::Request request;
  request.method = "GET";
  request.path = "/things";
  request.query = query;
  return request;
}

// The answer that ends the request, "" when nothing does.
template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const Refused& refused) {
    return std::to_string(refused.response.status) + " " + refused.response.body;
  }
  return "";
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("parameters are decoded, and each comes once") {
  const auto request = with_query("name=a%20b%2B+c&&is=true&n=7&at=2026-01-31T08:00:00+01:00&e=");
  const Parameters query(request, {"name", "is", "n", "at", "e", "none"});
  CHECK(query.text("name") == "a b+ c");
  CHECK(query.text("e") == "");
  CHECK_FALSE(query.text("none"));
  CHECK(query.flag("is") == true);
  CHECK(query.number("n", 0, 10) == 7);
  CHECK(query.time("at") == Time{Seconds{1'769'842'800}});
  CHECK(query.limit() == 50);
}

TEST_CASE("a parameter that cannot be meant is refused with its name") {
  const auto told = [](std::string_view text, auto read) {
    const auto request = with_query(text);
    return refusal([&] { read(Parameters(request, {"n", "flag", "id", "at", "limit", "w"})); });
  };
  const auto nothing = [](const Parameters&) {};
  const auto unknown = told("N=1", nothing);
  CHECK(unknown.starts_with("400 "));
  CHECK(has(unknown, R"("pointer":"?N")"));
  CHECK(has(unknown, "there is: n, flag"));
  CHECK(has(told("n=1&n=1", nothing), "more than once"));
  for (const char* text : {"n=%", "n=%4", "n=%zz", "n=%00", "n=%ff"}) {
    INFO(text);
    CHECK(has(told(text, nothing), R"("pointer":"?n")"));
  }
  CHECK(has(told("%ff=1", nothing), R"("pointer":"?")"));
  const auto number = [](const Parameters& query) { query.number("n", 1, 9); };
  for (const char* text : {"n=0", "n=10", "n=", "n=1x", "n=99999999999999999999", "n=1.0"}) {
    INFO(text);
    CHECK(has(told(text, number), "number from 1 to 9"));
  }
  CHECK(has(told("flag=1", [](const Parameters& query) { query.flag("flag"); }), "true or false"));
  CHECK(has(told("id=1", [](const Parameters& query) { query.uuid("id"); }), "UUID"));
  CHECK(has(told("at=now", [](const Parameters& query) { query.time("at"); }), "RFC 3339"));
  CHECK(has(told("limit=201", [](const Parameters& query) { query.limit(); }), "1 to 200"));
  constexpr std::array<std::string_view, 2> kWords{"a", "b"};
  CHECK(
      has(told("w=c", [&](const Parameters& query) { query.word("w", kWords); }), "one of: a, b"));
}

TEST_CASE("members of an object are parameters, too") {
  const auto members = [](std::string_view text) { return std::get<0>(read_json_object(text, 4)); };
  const Parameters body(members(R"({"a":"x\u00e9","f":true,"n":7,"r":0.5,"none":null})"),
                        {"a", "f", "n", "r", "none"});
  CHECK(body.text("a") == "x\xC3\xA9");
  CHECK(body.flag("f") == true);
  CHECK(body.number("n", 0, 9) == 7);
  CHECK(body.positive("r", 1) == 0.5);
  CHECK_FALSE(body.text("none"));
  const auto told = [&](std::string_view text) {
    return refusal([&] {
      const Parameters made(members(text), {"r"}, "#/filter/");
      made.positive("r", 10);
    });
  };
  CHECK(told(R"({"r/s":1})").starts_with("422 "));
  CHECK(has(told(R"({"r/s":1})"), R"("pointer":"#/filter/r~1s")"));
  for (const char* value :
       {"0", "-1", "11", "1e999", "[]", "{}", "true", R"("x")", R"("\ud800")", R"("\u0000")"}) {
    INFO(value);
    CHECK(has(told(R"({"r":)" + std::string(value) + "}"), R"("pointer":"#/filter/r")"));
  }
}

TEST_CASE("the id is the second segment of the path") {
  http::Request request;
  request.path = "/things/0190B0A0-0000-7000-8000-000000000001/pause";
  CHECK(to_string(path_id(request, "thing")) == "0190b0a0-0000-7000-8000-000000000001");
  request.path = "/things/1";
  const auto told = refusal([&] { path_id(request, "thing"); });
  CHECK(told.starts_with("404 "));
  CHECK(has(told, "no thing with this id"));
}

TEST_CASE("a cursor is what was given out") {
  const auto text = make_cursor({1, 0x7fff'ffff'ffff'ffff, 255});
  CHECK(text == "1-7fffffffffffffff-ff");
  const std::string asked = "cursor=" + text;
  const auto request = with_query(asked);
  const Parameters query(request, {"cursor"});
  CHECK(read_cursor<3>(query) == std::array<std::int64_t, 3>{1, 0x7fff'ffff'ffff'ffff, 255});
  CHECK(refusal([&] { read_cursor<2>(query); }).starts_with("400 "));
  for (const char* other : {"", "1", "1-2-", "-1-2-3", "1--2-3", "1-2-g", "1-2-8000000000000000"}) {
    INFO(other);
    std::array<std::int64_t, 3> numbers{};
    CHECK_FALSE(parse_cursor(other, numbers));
  }
}

TEST_CASE("a body is an object of JSON, or not there") {
  http::Request request;
  CHECK(read_members(request, 8).empty());
  request.body = R"({"a":1})";
  CHECK(refusal([&] { read_members(request, 8); }).starts_with("415 "));
  request.headers = {{"content-type", "application/json"}};
  CHECK(read_members(request, 8).size() == 1);
  request.body = "[]";
  CHECK(refusal([&] { read_members(request, 8); }).starts_with("400 "));
  request.headers = {{"content-type", "application/merge-patch+json"}};
  request.body = "{}";
  CHECK(refusal([&] { read_members(request, 8); }).starts_with("415 "));
  CHECK(read_members(request, 8, "application/merge-patch+json").empty());
  request.headers.emplace_back("content-type", "application/json");
  CHECK(refusal([&] { read_members(request, 8); }).starts_with("400 "));
}

TEST_CASE("a pointer to a member is escaped") {
  CHECK(pointer_to("a") == "#/a");
  CHECK(pointer_to("a/b~c") == "#/a~1b~0c");
  CHECK(pointer_to(std::string(65, 'x')) == "#");
}

}  // namespace
}  // namespace eventhub::api
