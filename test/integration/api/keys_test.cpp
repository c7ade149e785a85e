// API keys over HTTP: who is let in, who is not and how he is told, and what keys are made of.
#include <regex>

#include "members.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;
using test::kJson;
using test::one;

constexpr const char* kEvent = R"({"event_type":"a","payload":{}})";
const std::string kAdmin = "an-admin-key-of-the-settings-0123456789";

std::string bearer(const std::string& token) {
  return "Authorization: Bearer " + token + "\r\n";
}

struct KeyedHub : ApiFixture {
  KeyedHub() : ApiFixture([](Config& made) { made.server.admin_key = kAdmin; }) {}
  Answer create(const std::string& body, const std::string& headers = bearer(kAdmin)) {
    return send("POST", "/keys", kJson + headers, body);
  }
  std::string token(const std::string& name, const std::string& scope,
                    const std::string& producer) {
    const auto made = create(R"({"name":")" + name + R"(","scopes":[")" + scope +
                             R"("],"producer":")" + producer + R"("})");
    REQUIRE(made.status == 201);
    return one(made, "token");
  }
  Answer revoke(const std::string& id) { return send("DELETE", "/keys/" + id, bearer(kAdmin)); }
};

TEST_CASE("without keys a hub on loopback takes events, from those who call it local") {
  ApiFixture hub;
  CHECK(hub.post(kEvent).status == 202);
  CHECK(hub.get("/keys").body == R"({"data":[],"next_cursor":null})");
  CHECK(hub.get("/keys?limit=5").status == 400);
  auto led_here =
      ApiFixture::request_text("POST", "/events", "Content-Type: application/json\r\n", kEvent);
  led_here.replace(led_here.find("Host: localhost"), 15, "Host: rebind.example");
  const auto refused =
      ApiFixture::read(test::run(hub.io, ApiFixture::exchange(hub.port, led_here)));
  CHECK(refused.status == 403);
  CHECK(refused.says("answers only to localhost"));
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1");
}

TEST_CASE("the first key shuts the door at once, and the last one revoked does not open it") {
  ApiFixture hub;
  const auto made = hub.send("POST", "/keys", "Content-Type: application/json\r\n",
                             R"({"name":"first","scopes":["admin"]})");
  REQUIRE(made.status == 201);
  CHECK(hub.post(kEvent).status == 401);
  CHECK(hub.post(kEvent, bearer(one(made, "token"))).status == 202);
  CHECK(hub.send("DELETE", "/keys/" + one(made, "id"), bearer(one(made, "token"))).status == 204);
  CHECK(hub.post(kEvent, bearer(one(made, "token"))).status == 401);
  CHECK(hub.post(kEvent).status == 401);
  CHECK(hub.db.query("SELECT created_by FROM api_keys") == "anybody, 127.0.0.1");
}

TEST_CASE("a request without a key, with a wrong one or with two is told so") {
  KeyedHub hub;
  const auto none = hub.post(kEvent);
  CHECK(none.status == 401);
  CHECK(none.has("Content-Type: application/problem+json"));
  CHECK(none.has(R"(WWW-Authenticate: Bearer realm="eventhub")"));
  for (const std::string& header :
       {bearer("ehk_0"), bearer(kAdmin + "x"), bearer(kAdmin.substr(1)), bearer(""),
        bearer(std::string(600, 'a')), std::string("Authorization: Basic Og==\r\n"),
        std::string("Authorization: " + kAdmin + "\r\n")}) {
    INFO(header);
    const auto wrong = hub.post(kEvent, header);
    CHECK(wrong.status == 401);
    CHECK(wrong.has(R"(WWW-Authenticate: Bearer realm="eventhub", error="invalid_token")"));
  }
  CHECK(hub.post(kEvent, bearer(kAdmin) + bearer(kAdmin)).status == 400);
  CHECK(hub.post(kEvent, "authorization: bearer  " + kAdmin + "\r\n").status == 202);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1");
}

TEST_CASE("each scope opens its routes and no others") {
  KeyedHub hub;
  const std::string publish = bearer(hub.token("a", "publish", "p"));
  const std::string read = bearer(hub.token("b", "read", "p"));
  const std::string admin = bearer(hub.token("c", "admin", "p"));
  CHECK(hub.post(kEvent, publish).status == 202);
  CHECK(hub.post(kEvent, admin).status == 202);
  const auto refused = hub.post(kEvent, read);
  CHECK(refused.status == 403);
  CHECK(refused.has("Content-Type: application/problem+json"));
  CHECK(refused.has(R"(WWW-Authenticate: Bearer realm="eventhub", error="insufficient_scope", )"
                    R"(scope="publish")"));
  for (const auto& [header, status] :
       std::vector<std::pair<std::string, int>>{{publish, 403}, {read, 403}, {admin, 200}}) {
    CHECK(hub.send("GET", "/keys", header).status == status);
    CHECK(hub.send("HEAD", "/keys", header).status == status);
    CHECK(hub.create(R"({"name":"x","scopes":["read"]})", header).status ==
          (status == 200 ? 201 : 403));
    CHECK(hub.send("DELETE", "/keys/" + std::string(36, '0'), header).status ==
          (status == 200 ? 404 : 403));
  }
  for (const char* path : {"/health", "/livez", "/readyz", "/metrics"}) {
    CHECK(hub.get(path).status == 200);
  }
  CHECK(hub.get("/nothing").status == 404);
  CHECK(hub.send("PUT", "/events").status == 405);
}

TEST_CASE("a key is shown once and kept as its digest") {
  KeyedHub hub;
  const auto made = hub.create(R"({"name":"shop","scopes":["publish","read"]})");
  REQUIRE(made.status == 201);
  const std::string token = one(made, "token");
  CHECK(std::regex_match(token, std::regex("ehk_[0-9a-f]{64}")));
  CHECK(made.has("Location: /keys/" + one(made, "id")));
  CHECK(made.has("Cache-Control: no-store"));
  CHECK(made.says(R"("producer":"shop","scopes":["publish","read"])"));
  CHECK(made.says(R"("created_by":"key EVENTHUB_ADMIN_KEY, 127.0.0.1")"));
  const auto listed = hub.send("GET", "/keys", bearer(kAdmin));
  CHECK(listed.says(one(made, "id")));
  CHECK_FALSE(listed.says("token"));
  CHECK_FALSE(listed.says("ehk_"));
  CHECK(hub.db.query("SELECT token_sha256 = sha256('" + token + "'::bytea) FROM api_keys") == "t");
  CHECK(hub.db.query("SELECT count(*) FROM api_keys k WHERE k::text LIKE '%' || substr('" + token +
                     "', 5) || '%'") == "0");
}

TEST_CASE("a refused key says why") {
  KeyedHub hub;
  CHECK(hub.create(R"({"name":"shop","scopes":["publish"]})").status == 201);
  CHECK(hub.create(R"({"name":"shop","scopes":["publish"]})").status == 409);
  const auto bad = hub.create(R"({"name":"shop","scopes":["all"]})");
  CHECK(bad.status == 400);
  CHECK(bad.says(R"("pointer":"#/scopes")"));
  CHECK(hub.send("POST", "/keys", bearer(kAdmin), "{}").status == 415);
  CHECK(hub.revoke("not-an-id").status == 404);
  CHECK(hub.revoke("00000000-0000-0000-0000-000000000000").status == 404);
}

TEST_CASE("an idempotency key is its producer's, whichever key he sends it with") {
  KeyedHub hub;
  const std::string old = bearer(hub.token("shop-1", "publish", "shop"));
  const std::string fresh = bearer(hub.token("shop-2", "publish", "shop"));
  const std::string other = bearer(hub.token("till-1", "publish", "till"));
  const std::string key = "Idempotency-Key: order-1\r\n";
  const auto first = hub.post(kEvent, old + key);
  CHECK(first.status == 202);
  const auto again = hub.post(kEvent, fresh + key);
  CHECK(again.status == 200);
  CHECK(one(again, "event_id") == one(first, "event_id"));
  const auto foreign = hub.post(kEvent, other + key);
  CHECK(foreign.status == 202);
  CHECK(one(foreign, "event_id") != one(first, "event_id"));
  CHECK(hub.post(R"({"event_type":"b","payload":{}})", fresh + key).status == 422);
}

TEST_CASE("before the keys are known nobody is let in") {
  KeyedHub hub;
  store::Keys unknown(hub.database, hub.wakeups, hub.clock);
  http::Server second(hub.io.get_executor(), hub.config.server,
                      api::make_handler(hub.context, unknown, &hub.started(), hub.health),
                      api::make_refusal(), hub.metrics);
  const auto port = second.listen();
  spawn(hub.io.get_executor(), "server", ApiFixture::serve(second, &hub.running));
  const auto answer = ApiFixture::read(test::run(
      hub.io,
      ApiFixture::exchange(port, ApiFixture::request_text("GET", "/keys", bearer(kAdmin), ""))));
  CHECK(answer.status == 503);
  CHECK(answer.has("Retry-After: 1"));
  second.stop();
}

TEST_CASE("without a database keys cannot be managed, and those known still work") {
  KeyedHub hub;
  const std::string publish = bearer(hub.token("a", "publish", "p"));
  auto& server = test::PrivatePostgres::server();
  server.crash();
  CHECK(hub.create(R"({"name":"b","scopes":["read"]})").status == 503);
  CHECK(hub.send("GET", "/keys", bearer(kAdmin)).status == 503);
  CHECK(hub.post(kEvent, publish).status == 503);
  CHECK(hub.post(kEvent, bearer("ehk_0")).status == 401);
  server.start();
  hub.until([&] { return hub.post(kEvent, publish).status == 202; });
}

}  // namespace
}  // namespace eventhub
