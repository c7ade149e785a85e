#include "eventhub/core/filter.hpp"

#include <cstdio>
#include <ctime>
#include <random>

#include "support/catch.hpp"
#include "unit/core/filter_cases.hpp"

namespace eventhub {
namespace {

Filter compiled(const std::string& json) {
  auto filter = Filter::compile(json);
  if (const auto* error = std::get_if<InputError>(&filter)) {
    FAIL(json << ": " << error->detail << " at " << error->pointer);
  }
  return std::get<Filter>(std::move(filter));
}

struct Tried {
  bool matches;
  std::optional<FilterMiss> miss;
};

Tried try_filter(const Filter& filter, const EventHeader& event) {
  JsonPick pick;
  std::vector<std::uint32_t> places;
  for (const JsonPointer& pointer : filter.pointers()) places.push_back(pick.add(pointer));
  JsonPicked picked;
  pick.read(event.payload, picked);
  const FilterSubject subject{event, picked, places};
  return {filter.matches(subject), filter.miss(subject)};
}

EventHeader with_payload(std::string payload) {
  EventHeader event;
  event.event_type = "order.paid";
  event.version = "v1";
  event.organization_id = "acme-1";
  event.payload = std::move(payload);
  return event;
}

bool matches(const std::string& filter, const std::string& payload) {
  const Tried tried = try_filter(compiled(filter), with_payload(payload));
  CHECK(tried.matches == !tried.miss);
  return tried.matches;
}

}  // namespace

TEST_CASE("filter: each operator on each kind of value") {
  struct Row {
    const char *test, *value;
    bool matches;
  };
  // {"path":"/a",TEST} on {"a":VALUE}.
  const Row rows[] = {
      {R"("eq":1)", "1", true},
      {R"("eq":1)", "1.0", true},
      {R"("eq":1)", "10e-1", true},
      {R"("eq":1)", R"("1")", false},
      {R"("eq":1)", "true", false},
      {R"("eq":"1")", "1", false},
      {R"("eq":0)", "-0", true},
      {R"("eq":"a")", R"("a")", true},
      {R"("eq":"a")", R"("\u0061")", true},
      {R"("eq":"\u00e4")", "\"\xC3\xA4\"", true},
      {R"("eq":"a")", R"("A")", false},
      {R"("eq":"")", R"("")", true},
      {R"("eq":true)", "true", true},
      {R"("eq":true)", "false", false},
      {R"("eq":null)", "null", true},
      {R"("eq":null)", "false", false},
      {R"("eq":"{}")", "{}", false},
      {R"("eq":"\ufffd")", R"("\ud800")", false},
      {R"("ne":1)", "2", true},
      {R"("ne":1)", "1e0", false},
      {R"("ne":1)", R"("1")", true},
      {R"("ne":1)", "[1]", true},
      {R"("ne":null)", "0", true},
      {R"("ne":"a")", R"("\ud800")", true},
      {R"("gt":100)", "100", false},
      {R"("gt":100)", "100.0000000000000000000000000001", true},
      {R"("gt":9007199254740992)", "9007199254740993", true},
      {R"("eq":9007199254740993)", "9007199254740992", false},
      {R"("lt":9223372036854775807)", "9223372036854775806", true},
      {R"("lt":9223372036854775807)", "9223372036854775807", false},
      {R"("gt":9223372036854775807)", "9223372036854775808", true},
      {R"("gt":-9223372036854775808)", "-9223372036854775809", false},
      {R"("gt":1e308)", "1e999999999999999999999", true},
      {R"("gt":0)", "1e-999999999999999999999", true},
      {R"("lt":0)", "-1e-400", true},
      {R"("gt":-2)", "-10", false},
      {R"("gt":2)", "10", true},
      {R"("gt":0.1)", "0.09999999999999999999", false},
      {R"("gt":100)", R"("200")", false},
      {R"("gt":100)", "null", false},
      {R"("gte":100)", "1e2", true},
      {R"("lte":100)", "100.00", true},
      {R"("lte":100)", "101", false},
      {R"("gt":"b")", R"("ba")", true},
      {R"("lt":"b")", R"("B")", true},
      {R"("gt":"z")", "\"\xC3\xA4\"", true},
      {R"("gte":"2026-01-01")", R"("2026-01-01T00:00:00Z")", true},
      {R"("lt":"5")", "4", false},
      {R"("gte":1,"lt":10)", "9.99", true},
      {R"("gte":1,"lt":10)", "10", false},
      {R"("in":[1,"b",null])", "1.0", true},
      {R"("in":[1,"b",null])", R"("b")", true},
      {R"("in":[1,"b",null])", "null", true},
      {R"("in":[1,"b",null])", R"("1")", false},
      {R"("in":[1,"b",null])", "[1]", false},
      {R"("prefix":"ac")", R"("acme")", true},
      {R"("prefix":"ac")", R"("a")", false},
      {R"("prefix":"")", R"("")", true},
      {R"("prefix":"1")", "1", false},
      {R"("exists":true)", "null", true},
      {R"("exists":true)", "{}", true},
      {R"("exists":false)", "null", false},
  };
  for (const Row& row : rows) {
    INFO(row.test << " on " << row.value);
    const std::string filter = std::string(R"({"path":"/a",)") + row.test + "}";
    CHECK(matches(filter, std::string(R"({"a": )") + row.value + "}") == row.matches);
  }
}

TEST_CASE("filter: of a member that is missing every comparison is false") {
  for (const char* test : {R"("eq":null)", R"("ne":1)", R"("ne":null)", R"("gt":0)", R"("lt":0)",
                           R"("in":[null])", R"("prefix":"")", R"("exists":true)"}) {
    INFO(test);
    const std::string rest = std::string(",") + test + "}";
    CHECK_FALSE(matches(R"({"path":"/a")" + rest, R"({"b":1})"));
    CHECK_FALSE(matches(R"({"member":"user_id")" + rest, "{}"));
    CHECK(matches(R"({"not":{"path":"/a")" + rest + "}", R"({"b":1})"));
  }
  CHECK(matches(R"({"path":"/a","exists":false})", "{}"));
  CHECK(matches(R"({"member":"user_id","exists":false})", "{}"));
}

TEST_CASE("filter: places of the payload, and of two members with one name the first") {
  struct Row {
    const char *path, *payload, *found;
  };
  const Row rows[] = {
      {"/a/b", R"({"a":{"x":[{"b":1}],"b":2}})", "2"},
      {"/a/1", R"({"a":[1,2,3]})", "2"},
      {"/a/1", R"({"a":{"1":"x"}})", R"("x")"},
      {"/a/01", R"({"a":[1,2]})", nullptr},
      {"/a/-", R"({"a":[1,2]})", nullptr},
      {"/a/2/c", R"({"a":[1,2,{"c":true}]})", "true"},
      {"/0/0", "[[7]]", "7"},
      {"/a", R"({"a":1,"a":2})", "1"},
      {"/a/b", R"({"a":{},"a":{"b":2}})", nullptr},
      {"/a/b", R"({"a":5,"a":{"b":2}})", nullptr},
      {"/a~1b/~0", R"({"a/b":{"~":3}})", "3"},
      {"/", R"({"":4})", "4"},
      {"/\xC3\xA4", R"({"\u00e4":5})", "5"},
      {"/a", R"({"\ud800":1,"a":6})", "6"},
      {"/b", R"({"a":"}],\"b\":0","b":7})", "7"},
      {"/b", R"({"a":"\\","b":8})", "8"},
      {"/b", "{ \"a\" : [ { } , [ ] ] ,\r\n\t\"b\" : 9 }", "9"},
      {"/a/b/c", R"({"a":{"b":1}})", nullptr},
      {"", "[1, 2]", "[1, 2]"},
  };
  for (const Row& row : rows) {
    INFO(row.path << " in " << row.payload);
    JsonPick pick;
    const auto place = pick.add(JsonPointer::parse(row.path).value());
    JsonPicked picked;
    pick.read(R"({"a":{"b":"former"},"b":0})", picked);
    pick.read(row.payload, picked);
    const JsonValue* found = picked.at(place);
    REQUIRE((found != nullptr) == (row.found != nullptr));
    if (found != nullptr) CHECK(found->text == row.found);
  }
}

TEST_CASE("filter: a payload of any depth is read, and what is no JSON does no harm") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(matches(R"({"path":"/b","eq":1})", R"({"a":)" + deep + R"(,"b":1})"));
  const std::string whole = R"({"a":{"b":["x\u00e4\\",1,{"c":-1.5e3}]},"d":"e"})";
  const std::string filter =
      R"({"any":[{"path":"/a/b/2/c","eq":-1500},{"path":"/a/b/0","eq":"q"},{"path":"/d","gt":1}]})";
  CHECK(matches(filter, whole));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const std::string part(whole.data(), cut);  // its own bytes: a step too far is seen
    try_filter(compiled(filter), with_payload(part));
    std::string broken = whole;
    broken[cut] = '"';
    try_filter(compiled(filter), with_payload(broken));
  }
}

TEST_CASE("filter: members of the envelope") {
  CHECK(matches(R"({"member":"event_type","prefix":"order."})", "{}"));
  CHECK(matches(R"({"member":"version","eq":"v1"})", "{}"));
  CHECK(matches(R"({"member":"organization_id","in":["b","acme-1"]})", "{}"));
  CHECK_FALSE(matches(R"({"member":"organization_id","eq":1})", "{}"));
  CHECK(compiled(R"({"member":"version","eq":"v1"})").reads_version());
  CHECK_FALSE(compiled(R"({"member":"user_id","eq":"v1"})").reads_version());
}

TEST_CASE("filter: what decided is told") {
  const auto told = [](const std::string& filter, const std::string& payload) {
    const auto miss = try_filter(compiled(filter), with_payload(payload)).miss;
    return miss ? miss->pointer + ": " + miss->detail : "matches";
  };
  const std::string filter = R"({"all":[{"path":"/amount","gt":100,"lt":200},)"
                             R"({"any":[{"path":"/x","eq":1},{"path":"/y","eq":2}]},)"
                             R"({"not":{"member":"organization_id","prefix":"test"}},)"
                             R"({"member":"user_id","exists":true}]})";
  CHECK(told(filter, R"({"amount":50})") == "/all/0/gt: it is 50, wanted is gt 100");
  CHECK(told(filter, R"({"amount":500})") == "/all/0/lt: it is 500, wanted is lt 200");
  CHECK(told(filter, "{}") == "/all/0/gt: it is missing, wanted is gt 100");
  CHECK(told(filter, R"({"amount":150})") == "/all/1/any: none of them holds");
  CHECK(told(filter, R"({"amount":150,"y":2})") ==
        "/all/3/exists: it is missing, wanted is exists true");
  CHECK(told(R"({"not":{"member":"organization_id","prefix":"acme"}})", "{}") == "/not: it holds");
  CHECK(told(R"({"member":"organization_id","eq":"b"})", "{}") ==
        R"(/eq: it is "acme-1", wanted is eq "b")");
}

TEST_CASE("filter: what is none is refused, and it is told where") {
  for (const std::string& good : test::good_filters()) compiled(good);
  for (const auto& [filter, pointer, only_compiled] : test::bad_filters()) {
    INFO(filter.substr(0, 200));
    const auto read = Filter::compile(filter);
    REQUIRE(std::holds_alternative<InputError>(read));
    CHECK(std::get<InputError>(read).pointer == pointer);
    CHECK_FALSE(std::get<InputError>(read).detail.empty());
  }
}

namespace {

// Random filters over {"a":…,"b":{"c":…}} and what they mean, told apart from the code: values are
// tried one by one, numbers as long double (all of them small here).
struct Naive {
  std::mt19937 random;
  std::string a, c;  // values as JSON; empty: missing

  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random); }
  std::string value() {
    static const char* const all[] = {"0",      "1",       "2.5",          "-3",     "10",
                                      "1e1",    "true",    "false",        "null",   R"("")",
                                      R"("a")", R"("ab")", R"("\u0061b")", R"("1")", R"("10")"};
    return all[pick(15)];
  }
  std::string subject() { return pick(4) == 0 ? "" : value(); }

  static std::string plain(const std::string& json) {
    return json == R"("\u0061b")" ? R"("ab")" : json;
  }
  static bool number(const std::string& json) {
    return !json.empty() && (json[0] == '-' || (json[0] >= '0' && json[0] <= '9'));
  }
  static bool same(const std::string& left, const std::string& right) {
    if (number(left) && number(right)) return std::stold(left) == std::stold(right);
    return plain(left) == plain(right);
  }
  static int kind(const std::string& json) { return number(json) ? 1 : json[0] == '"' ? 2 : 0; }
  // -1, 0, 1; 2: no order.
  static int order(const std::string& left, const std::string& right) {
    if (kind(left) != kind(right) || kind(left) == 0) return 2;
    if (kind(left) == 1) {
      const long double l = std::stold(left), r = std::stold(right);
      return l < r ? -1 : l > r ? 1 : 0;
    }
    const std::string l = plain(left), r = plain(right);
    const int found = l.substr(1, l.size() - 2).compare(r.substr(1, r.size() - 2));
    return found < 0 ? -1 : found > 0 ? 1 : 0;
  }

  // A filter, and whether it holds.
  std::pair<std::string, bool> make(int depth) {
    const int which = depth == 0 ? 3 : pick(5);
    if (which == 0) {
      auto [text, holds] = make(depth - 1);
      return {R"({"not":)" + text + "}", !holds};
    }
    if (which < 3) {
      const bool all = which == 1;
      std::string list;
      bool result = all;
      for (int i = 0, count = 1 + pick(3); i < count; ++i) {
        auto [text, holds] = make(depth - 1);
        list += (i == 0 ? "" : ",") + text;
        result = all ? result && holds : result || holds;
      }
      return {(all ? R"({"all":[)" : R"({"any":[)") + list + "]}", result};
    }
    return predicate();
  }

  std::pair<std::string, bool> predicate() {
    const bool first = pick(2) == 0;
    const std::string& is = first ? a : c;
    const std::string from = std::string(R"({"path":")") + (first ? "/a" : "/b/c") + R"(",)";
    std::string wanted = value();
    const bool there = !is.empty();
    switch (pick(5)) {
      case 0:
        return {from + R"("eq":)" + wanted + "}", there && same(is, wanted)};
      case 1:
        return {from + R"("ne":)" + wanted + "}", there && !same(is, wanted)};
      case 2: {
        const std::string other = value();
        return {from + R"("in":[)" + wanted + "," + other + "]}",
                there && (same(is, wanted) || same(is, other))};
      }
      case 3:
        return {from + R"("exists":false})", !there};
      default:
        break;
    }
    while (kind(wanted) == 0) wanted = value();
    const int found = there ? order(is, wanted) : 2;
    const std::pair<const char*, bool> ops[] = {{"gt", found == 1},
                                                {"gte", found == 0 || found == 1},
                                                {"lt", found == -1},
                                                {"lte", found == 0 || found == -1}};
    const auto& [op, holds] = ops[pick(4)];
    return {from + '"' + op + R"(":)" + wanted + "}", holds};
  }
};

}  // namespace

TEST_CASE("filter: random filters mean what a plain reading of them says") {
  Naive naive{std::mt19937{20}, {}, {}};
  for (int i = 0; i < 3'000; ++i) {
    naive.a = naive.subject();
    naive.c = naive.subject();
    std::string payload = R"({"x":[{"a":9}])";
    if (!naive.a.empty()) payload += R"(,"a":)" + naive.a;
    if (!naive.c.empty()) payload += R"(, "b" : {"y":"\"", "c":)" + naive.c + "}";
    const auto [filter, holds] = naive.make(3);
    INFO(filter << " on " << payload << "}");
    REQUIRE(matches(filter, payload + "}") == holds);
  }
}

// Not a test: docs/filters.md says how to run it and what it found.
TEST_CASE("filter: what it costs", "[.cost]") {
  std::string payload =
      R"({"id":"0199c3f2","items":[{"sku":"a-1","count":2},{"sku":"b","count":1}],)";
  payload += R"("note":")" + std::string(120, 'n') + R"(","customer":{"id":17,"tier":"gold"},)";
  payload += R"("currency":"EUR","amount":129.90})";
  const EventHeader event = with_payload(payload);
  const auto cost = [&](const char* what, const std::string& json) {
    const Filter filter = compiled(json);
    JsonPick pick;
    std::vector<std::uint32_t> places;
    for (const JsonPointer& pointer : filter.pointers()) places.push_back(pick.add(pointer));
    JsonPicked picked;
    constexpr int kRounds = 200'000;
    int wanted = 0;
    const auto begun = std::clock();
    for (int i = 0; i < kRounds; ++i) {
      pick.read(event.payload, picked);
      wanted += filter.matches({event, picked, places}) ? 1 : 0;
    }
    const double micros = 1e6 * static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    std::printf("%-28s %zu bytes of payload: %.2f us of CPU per event\n", what, payload.size(),
                micros / kRounds);
    CHECK(wanted == kRounds);
  };
  cost("one comparison", R"({"path":"/amount","gt":100})");
  cost("four, all, any and not",
       R"({"all":[{"path":"/amount","gte":100,"lt":1000},{"any":[{"path":"/currency","eq":"USD"},)"
       R"({"path":"/customer/tier","in":["gold","silver"]}]},)"
       R"({"not":{"path":"/items/0/sku","eq":"x"}}]})");
  cost("the envelope only", R"({"member":"organization_id","prefix":"acme"})");
}

}  // namespace eventhub
