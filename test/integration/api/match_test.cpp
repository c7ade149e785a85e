// Filters over HTTP: what is refused, and POST /subscribers/{id}/match.
#include "members.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;
using test::kJson;
using test::one;

struct Routed : ApiFixture {
  std::string create(const std::string& members) {
    const auto answer =
        send("POST", "/subscribers", kJson,
             R"({"name":"a","webhook_url":"https://api.example.com/a",)" + members + "}");
    INFO(answer.body);
    REQUIRE(answer.status == 201);
    return one(answer, "id");
  }
  Answer match(const std::string& id, const std::string& event) {
    return send("POST", "/subscribers/" + id + "/match", kJson, event);
  }
};

TEST_CASE("match: what a subscriber would get, and why not") {
  Routed hub;
  const std::string id =
      hub.create(R"("event_type":"order.*","organization_id":"org-1","ordering_enabled":true,)"
                 R"("ordering_key":"/customer/id","filter":{"all":[{"path":"/amount","gt":100}]})");
  const std::string head = R"({"event_type":"order.paid","organization_id":"org-1","payload":)";
  const auto wanted = hub.match(id, head + R"({"amount":101,"customer":{"id": 17}}})");
  CHECK(wanted.status == 200);
  CHECK(wanted.body == R"({"matches":true,"reason":null,"pointer":null,"detail":null,)"
                       R"("ordering_key":{"from":"/customer/id","value":17},"problem":null})");
  CHECK(hub.match(id, head + R"({"amount":1e2}})").body ==
        R"({"matches":false,"reason":"filter","pointer":"/all/0/gt",)"
        R"("detail":"it is 1e2, wanted is gt 100","ordering_key":null,"problem":null})");
  CHECK(hub.match(id, head + R"({"amount":101}})").says(R"("matches":true)"));
  CHECK(one(hub.match(id, R"({"event_type":"order.paid","payload":{"amount":101}})"), "reason") ==
        "organization_id");
  CHECK(one(hub.match(id, R"({"event_type":"user.paid","payload":{}})"), "reason") == "event_type");
  CHECK(hub.send("PATCH", "/subscribers/" + id, kJson, R"({"is_active":false})").status == 200);
  CHECK(one(hub.match(id, head + R"({"amount":101}})"), "reason") == "inactive");
  CHECK(hub.db.query("SELECT count(*) FROM events") == "0");
}

TEST_CASE("match: an event is read as POST /events reads it") {
  Routed hub;
  const std::string id = hub.create(R"("event_type":"a")");
  const auto bad = hub.match(id, R"({"event_type":"a"})");
  CHECK(bad.status == 400);
  CHECK(bad.says(R"("pointer":"#/payload")"));
  CHECK(hub.send("POST", "/subscribers/" + id + "/match", "Content-Type: text/plain\r\n", "{}")
            .status == 415);
  CHECK(hub.match("00000000-0000-8000-8000-000000000000", R"({"event_type":"a","payload":{}})")
            .status == 404);
}

TEST_CASE("filters: a bad one is refused with what and where, and nothing is stored") {
  Routed hub;
  const std::string id = hub.create(R"("event_type":"a")");
  const auto patch = [&](const std::string& filter) {
    return hub.send("PATCH", "/subscribers/" + id, kJson, R"({"filter":)" + filter + "}");
  };
  const auto bad = patch(R"({"any":[{"path":"/a","eq":1},{"path":"/b","like":"x"}]})");
  CHECK(bad.status == 422);
  CHECK(bad.says(R"("pointer":"#/filter/any/1/like")"));
  CHECK(bad.says("filter: this is not known here; there is all, any, not"));
  CHECK(patch(R"({"path":"/a","eq":"\u0000"})").says(R"("pointer":"#/filter/eq")"));
  CHECK(patch(R"({"path":"/a","eq":1e2000})").says(R"("pointer":"#/filter/eq")"));
  CHECK(patch("[]").says(R"("pointer":"#/filter")"));
  CHECK(patch(R"("x")").status == 422);
  // Sixteen kilobytes in the database, less on the way: 1e1000 has a thousand digits.
  std::string wide = "1e999";
  for (int i = 0; i < 16; ++i) wide += ",1e999";
  CHECK(patch(R"({"path":"/a","in":[)" + wide + "]}").says("filter is at most 16384 bytes"));
  CHECK(hub.db.query("SELECT filter IS NULL FROM subscribers") == "t");
  CHECK(patch(R"({"path":"/a","eq":1})").status == 200);
  CHECK(patch("null").says(R"("filter":null)"));
  CHECK(hub.db.query("SELECT filter IS NULL FROM subscribers") == "t");
}

TEST_CASE("filters: one that the table never saw is a problem that is shown") {
  Routed hub;
  const std::string id = hub.create(R"("event_type":"a")");
  hub.db.sql("ALTER TABLE subscribers DROP CONSTRAINT filter_is_one_of_docs_filters_md");
  hub.db.sql(R"(UPDATE subscribers SET filter = '{"like": 1}')");
  CHECK(hub.get("/subscribers/" + id).says("its filter cannot be read"));
  const auto tried = hub.match(id, R"({"event_type":"a","payload":{}})");
  CHECK(tried.says(R"("matches":true)"));
  CHECK(tried.says("its filter cannot be read: this is not known here"));
}

}  // namespace
}  // namespace eventhub
