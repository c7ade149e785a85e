// /subscribers over HTTP, down to the row in the database.
#include <regex>

#include "eventhub/core/json.hpp"
#include "members.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;
using test::kJson;

const std::string kPlain =
    R"({"name":"a","event_type":"user.created","webhook_url":"https://api.example.com/a"})";

struct Subscribers : ApiFixture {
  Answer create(const std::string& body) { return send("POST", "/subscribers", kJson, body); }
  Answer patch(const std::string& id, const std::string& body) {
    return send("PATCH", "/subscribers/" + id, kJson, body);
  }
  std::string created(const std::string& body) {
    const auto answer = create(body);
    INFO(answer.body);
    REQUIRE(answer.status == 201);
    return member(answer, "id");
  }
  // A member of an answer, as it is written there.
  static std::string member(const Answer& answer, const std::string& name) {
    const auto members = read_json_object(answer.body, 16);
    REQUIRE(std::holds_alternative<std::vector<JsonMember>>(members));
    for (const auto& one : std::get<0>(members)) {
      if (one.name == name) return json_string(one.value).value_or(std::string(one.value.text));
    }
    return "absent";
  }
  std::string row(const std::string& id, const std::string& columns) {
    return db.query("SELECT " + columns + " FROM subscribers WHERE id = '" + id + "'");
  }
};

bool points(const Answer& answer, const std::string& member) {
  return answer.says(R"("pointer":"#/)" + member + '"');
}

TEST_CASE("a subscriber is made with the table's defaults and read back") {
  Subscribers hub;
  const auto answer = hub.create(kPlain);
  REQUIRE(answer.status == 201);
  const std::string id = Subscribers::member(answer, "id");
  CHECK(answer.has("Location: /subscribers/" + id));
  CHECK(hub.row(id,
                "name, event_type, retry_limit, retry_backoff_seconds, max_in_flight, spread, "
                "is_active, paused, on_dead, body, headers, created_by") ==
        "a|user.created|3|{5,30,300}|64|16|t|f|continue|payload|{}|anybody, 127.0.0.1");
  CHECK(std::regex_match(
      answer.body,
      std::regex(
          R"re(\{"id":"[0-9a-f-]{36}","name":"a","event_type":"user\.created",)re"
          R"re("event_types":null,"organization_id":null,"filter":null,)re"
          R"re("webhook_url":"https://api\.example\.com/a","delivery_guarantee":"at_least_once",)re"
          R"re("ordering_enabled":false,"ordering_key":null,"retry_limit":3,)re"
          R"re("retry_backoff_seconds":\[5,30,300\],"retry_jitter":0,)re"
          R"re("retry_statuses":\["429","5xx"\],"is_active":true,)re"
          R"re("paused":false,"paused_reason":null,"on_dead":"continue","max_in_flight":64,)re"
          R"re("rate_limit":null,"circuit_failures":null,"circuit_open_ms":30000,)re"
          R"re("circuit":"closed","failing_since":null,)re"
          R"re("timeout_ms":null,"body":"payload","header_names":\[\],"has_secret":true,)re"
          R"re("previous_secret_until":null,"created_by":"anybody, 127\.0\.0\.1",)re"
          R"re("created_at":"[0-9TZ:.-]{24}",)re"
          R"re("updated_at":"[0-9TZ:.-]{24}","problem":null,)re"
          R"re("secret":"whsec_[A-Za-z0-9+/]{43}="\})re")));
  const auto read = hub.get("/subscribers/" + id);
  CHECK(read.status == 200);
  CHECK(read.body == answer.body.substr(0, answer.body.find(R"(,"secret":)")) + "}");
  CHECK(hub.send("HEAD", "/subscribers/" + id).status == 200);
}

TEST_CASE("every column can be given, and no secret is ever shown") {
  Subscribers hub;
  const std::string id = hub.created(
      R"({"name":"all \u00e4","event_types":["a.*","b.>"],"webhook_url":"http://1.1.1.1:81/x?y=1",)"
      R"("delivery_guarantee":"at_most_once","ordering_enabled":true,"ordering_key":"user_id",)"
      R"("retry_limit":0,"retry_backoff_seconds":[0.5,1e1],"retry_jitter":0.25,"is_active":false,)"
      R"("paused":true,"on_dead":"block","max_in_flight":7,"timeout_ms":500,"body":"envelope",)"
      R"("organization_id":"org-1","filter":{"not":{"path":"/a","gt":9007199254740993}},)"
      R"("rate_limit":2.5,"circuit_failures":5,"circuit_open_ms":1000,)"
      R"("headers":{"Authorization":"Bearer hidden","X-A":"1"},)"
      R"("secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","created_by":"me","event_type":null})");
  CHECK(hub.row(id,
                "name, event_types, webhook_url, delivery_guarantee, ordering_key, "
                "retry_backoff_seconds, retry_jitter, is_active, paused, on_dead, "
                "max_in_flight, spread, rate_limit, circuit_failures, circuit_open_ms, timeout_ms, "
                "body, headers, secret, created_by, organization_id, filter") ==
        "all \xC3\xA4|{a.*,b.>}|http://1.1.1.1:81/x?y=1|at_most_once|user_id|{0.5,10}|0.25|f|t|"
        "block|7|2|2.5|5|1000|500|envelope|{\"X-A\": \"1\", \"Authorization\": \"Bearer hidden\"}|"
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw|me|org-1|"
        "{\"not\": {\"gt\": 9007199254740993, \"path\": \"/a\"}}");
  for (const auto& answer : {hub.get("/subscribers/" + id), hub.get("/subscribers"),
                             hub.patch(id, "{}"), hub.send("POST", "/subscribers/" + id + "/pause"),
                             hub.send("POST", "/subscribers/" + id + "/resume")}) {
    CHECK(answer.status == 200);
    CHECK(answer.says(R"("header_names":["Authorization","X-A"])"));
    CHECK(answer.says(R"("has_secret":true)"));
    CHECK_FALSE(answer.says("whsec_"));
    CHECK_FALSE(answer.says("hidden"));
  }
}

TEST_CASE("each bad value is named at once, and nothing is stored") {
  Subscribers hub;
  // What the table's constraints refuse.
  const auto rules = hub.create(
      R"({"name":"","event_type":"a..b","event_types":[],"webhook_url":"https://a.example",)"
      R"("delivery_guarantee":"x","ordering_key":"x","retry_limit":101,)"
      R"("retry_backoff_seconds":[],"retry_jitter":1.5,"on_dead":"x","max_in_flight":0,)"
      R"("rate_limit":0,"circuit_failures":0,"circuit_open_ms":99,)"
      R"("timeout_ms":0,"body":"x","secret":"x","created_by":"","is_active":null})");
  CHECK(rules.status == 422);
  for (const char* name :
       {"name", "event_type", "event_types", "delivery_guarantee", "ordering_key", "retry_limit",
        "retry_backoff_seconds", "retry_jitter", "on_dead", "max_in_flight", "timeout_ms", "body",
        "rate_limit", "circuit_failures", "circuit_open_ms", "secret", "created_by", "is_active"}) {
    INFO(name << " in " << rules.body);
    CHECK(points(rules, name));
  }
  CHECK(rules.says("the rule is: retry_limit is 0 to 100"));
  // What is no value of the column, or no address to call.
  const auto kinds = hub.create(
      R"({"name":1,"event_types":["a",2],"webhook_url":"https://u@a.example","retry_limit":1.5,)"
      R"("retry_backoff_seconds":["1"],"retry_jitter":"x","is_active":"true","max_in_flight":1e9,)"
      R"("rate_limit":"1","circuit_failures":"1","circuit_open_ms":1.5,"timeout_ms":99999999999,)"
      R"("headers":{"Host":"a","b c":"d","X-E":1,"X/F":"g"},)"
      R"("ordering_enabled":0,"paused":1,"sid":1,"previous_secret":"x","on_dead":"\u0000"})");
  CHECK(kinds.status == 422);
  for (const char* name :
       {"name", "event_types", "webhook_url", "retry_limit", "retry_backoff_seconds",
        "retry_jitter", "is_active", "max_in_flight", "rate_limit", "timeout_ms", "headers/Host",
        "headers/b c", "headers/X-E", "headers/X~1F", "ordering_enabled", "paused", "sid",
        "previous_secret", "on_dead"}) {
    INFO(name << " in " << kinds.body);
    CHECK(points(kinds, name));
  }
  const auto nothing = hub.create("{}");
  CHECK(nothing.status == 422);
  CHECK(points(nothing, "name"));
  CHECK(points(nothing, "event_type"));
  CHECK(points(nothing, "webhook_url"));
  CHECK(hub.create("{").status == 400);
  CHECK(hub.create(R"({"name":"a","name":"b"})").status == 400);
  CHECK(hub.db.query("SELECT count(*) FROM subscribers") == "0");
}

TEST_CASE("an address that would not be called is refused when it is written") {
  Subscribers hub;
  for (const char* url : {"http://127.0.0.1/", "http://[::1]:8080/", "http://169.254.169.254/",
                          "http://10.0.0.1/", "ftp://a.example/", "http://2130706433/", "a"}) {
    INFO(url);
    const auto answer =
        hub.create(R"({"name":"a","event_type":"a","webhook_url":")" + std::string(url) + R"("})");
    CHECK(answer.status == 422);
    CHECK(points(answer, "webhook_url"));
  }
  hub.config.egress.allow_cidrs = {"127.0.0.0/8"};
  hub.created(R"({"name":"a","event_type":"a","webhook_url":"http://127.0.0.1:81/"})");
  hub.config.egress.https_only = true;
  CHECK(hub.create(R"({"name":"a","event_type":"a","webhook_url":"http://1.1.1.1/"})").status ==
        422);
}

TEST_CASE("a constraint of the table begins with the name of its column") {
  Subscribers hub;
  CHECK(hub.db.query(
            "SELECT conname FROM pg_constraint c WHERE conrelid = 'subscribers'::regclass AND "
            "contype = 'c' AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = "
            "c.conrelid AND c.conname LIKE a.attname || '\\_%')") == "");
}

TEST_CASE("a change touches what it names, and merges headers") {
  Subscribers hub;
  const std::string id = hub.created(
      R"({"name":"a","event_type":"a","webhook_url":"https://a.example","timeout_ms":5,)"
      R"("headers":{"X-A":"1","X-B":"2"},"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})");
  const auto before = hub.row(id, "xmin");
  const auto answer =
      hub.send("PATCH", "/subscribers/" + id, "Content-Type: application/merge-patch+json\r\n",
               R"({"retry_limit":9,"timeout_ms":null,"headers":{"X-A":null,"X-C":"3"}})");
  CHECK(answer.status == 200);
  CHECK(Subscribers::member(answer, "retry_limit") == "9");
  CHECK(Subscribers::member(answer, "timeout_ms") == "null");
  CHECK(hub.row(id, "name, headers, secret IS NOT NULL") == R"(a|{"X-B": "2", "X-C": "3"}|t)");
  CHECK(hub.row(id, "updated_at > created_at") == "t");
  CHECK(hub.row(id, "xmin") != before);
  const auto bad = hub.patch(id, R"({"retry_limit":-1,"name":null,"id":"x"})");
  CHECK(bad.status == 422);
  CHECK(points(bad, "id"));
  const auto worse = hub.patch(id, R"({"retry_limit":-1,"name":null})");
  CHECK(points(worse, "retry_limit"));
  CHECK(points(worse, "name"));
  CHECK(hub.row(id, "retry_limit") == "9");
  CHECK(hub.patch(id, R"({"secret":null,"headers":null})").status == 422);
  CHECK(hub.patch(id, R"({"secret":null})").says(R"("has_secret":false)"));
}

TEST_CASE("what only a trigger refuses has its place, too") {
  Subscribers hub;
  const std::string id = hub.created(
      R"({"name":"a","event_type":"a","webhook_url":"https://a.example","ordering_enabled":true,)"
      R"("ordering_key":"user_id"})");
  const auto answer = hub.patch(id, R"({"max_in_flight":8})");
  CHECK(answer.status == 422);
  CHECK(points(answer, "max_in_flight"));
}

TEST_CASE("pause and resume can be repeated; a reason stays until it is resumed") {
  Subscribers hub;
  const std::string id = hub.created(kPlain);
  const auto press = [&](const std::string& what, const std::string& body = {}) {
    return hub.send("POST", "/subscribers/" + id + "/" + what, body.empty() ? "" : kJson, body);
  };
  CHECK(press("pause", R"({"reason":"maintenance"})").says(R"("paused":true)"));
  CHECK(press("pause").says(R"("paused_reason":"maintenance")"));
  CHECK(hub.patch(id, R"({"name":"b"})").says(R"("paused_reason":"maintenance")"));
  CHECK(press("resume").says(R"("paused":false,"paused_reason":null)"));
  CHECK(press("resume").status == 200);
  press("pause", R"({"reason":"again"})");
  CHECK(hub.patch(id, R"({"paused":false})").says(R"("paused_reason":null)"));
  CHECK(press("pause", R"({"reason":")" + std::string(1'001, 'x') + R"("})").status == 422);
  CHECK(press("pause", R"({"why":"x"})").says(R"("pointer":"#/why")"));
}

TEST_CASE("who is resumed or has another address is shown without the failures of before") {
  Subscribers hub;
  const std::string id = hub.created(kPlain);
  const std::string path = "/subscribers/" + id;
  const std::string healthy = R"("circuit":"closed","failing_since":null)";
  const auto ill = [&] {
    hub.db.sql(
        "INSERT INTO subscriber_health (sid, failing_since, circuit) SELECT sid, now(), 'open' "
        "FROM subscribers");
  };
  hub.send("POST", path + "/pause");
  ill();
  CHECK(hub.get(path).says(R"("circuit":"open","failing_since":"20)"));
  CHECK(hub.send("POST", path + "/resume").says(healthy));
  ill();
  CHECK(hub.patch(id, R"({"webhook_url":"https://api.example.com/b"})").says(healthy));
}

TEST_CASE("a subscriber that is not there") {
  Subscribers hub;
  const std::string gone = hub.created(kPlain);
  CHECK(hub.send("DELETE", "/subscribers/" + gone).status == 204);
  for (const std::string& id : {gone, std::string("1"), std::string("x%20y")}) {
    INFO(id);
    const std::string path = "/subscribers/" + id;
    CHECK(hub.get(path).status == 404);
    CHECK(hub.send("DELETE", path).status == 404);
    CHECK(hub.patch(id, R"({"name":"b"})").status == 404);
    CHECK(hub.send("POST", path + "/pause").status == 404);
    CHECK(hub.send("POST", path + "/resume").status == 404);
  }
  CHECK(hub.send("PUT", "/subscribers/" + gone).has("Allow: GET, HEAD, PATCH, DELETE"));
  CHECK(hub.get("/metrics").says(R"(route="/subscribers/{id}/pause")"));
  CHECK_FALSE(hub.get("/metrics").says(gone));
}

TEST_CASE("a list is newest first, in pages, by filter") {
  Subscribers hub;
  for (int i = 0; i < 5; ++i) {
    hub.created(R"({"name":"n)" + std::to_string(i) + R"(","event_types":["a.)" +
                std::to_string(i % 2) + R"("],"webhook_url":"https://a.example","paused":)" +
                (i == 3 ? "true" : "false") + "}");
  }
  const auto names = [&](const std::string& query) {
    std::string found, cursor;
    do {
      const auto answer = hub.get("/subscribers?" + query + cursor);
      REQUIRE(answer.status == 200);
      const std::regex name(R"re("name":"(n\d)")re");
      for (auto at = std::sregex_iterator(answer.body.begin(), answer.body.end(), name);
           at != std::sregex_iterator(); ++at) {
        found += (*at)[1].str();
      }
      found += ' ';
      cursor = "&cursor=" + Subscribers::member(answer, "next_cursor");
    } while (cursor != "&cursor=null");
    return found;
  };
  CHECK(names("limit=200") == "n4n3n2n1n0 ");
  CHECK(names("limit=2") == "n4n3 n2n1 n0 ");
  CHECK(names("limit=5") == "n4n3n2n1n0 ");
  CHECK(names("event_type=a.1") == "n3n1 ");
  CHECK(names("paused=true") == "n3 ");
  CHECK(names("name=n2&is_active=true") == "n2 ");
  CHECK(names("delivery_guarantee=at_most_once") == " ");
  CHECK(hub.get("/subscribers?event=a").says(R"("pointer":"?event")"));
  CHECK(hub.get("/subscribers?cursor=x").status == 400);
}

TEST_CASE("without the role api, while stopping, without a database") {
  ApiFixture other({}, false);
  CHECK(other.get("/subscribers").status == 404);
  CHECK(other.get("/subscribers").says("role api"));
  Subscribers hub;
  hub.health.draining = true;
  CHECK(hub.get("/subscribers").status == 503);
  hub.health.draining = false;
  CHECK(hub.get("/subscribers").status == 200);
  hub.db.query(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "
      "current_database() AND pid <> pg_backend_pid()");
  CHECK(hub.get("/subscribers").status == 200);
}

}  // namespace
}  // namespace eventhub
