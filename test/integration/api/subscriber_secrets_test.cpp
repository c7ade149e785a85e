// Secrets and credentials of subscribers over HTTP: made, shown once, rotated, never shown again.
#include <regex>

#include "members.hpp"

namespace eventhub {
namespace {

using test::Answer;
using test::ApiFixture;
using test::kJson;

const std::string kGiven = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct SecretsApi : ApiFixture {
  using ApiFixture::ApiFixture;

  Answer create(const std::string& members) {
    return send(
        "POST", "/subscribers", kJson,
        R"({"name":"a","event_type":"a","webhook_url":"https://a.example")" + members + "}");
  }
  Answer rotate(const std::string& id, const std::string& body = {}) {
    return send("POST", "/subscribers/" + id + "/rotate-secret", body.empty() ? "" : kJson, body);
  }
  Answer patch(const std::string& id, const std::string& body) {
    return send("PATCH", "/subscribers/" + id, kJson, body);
  }
  std::string row(const std::string& id, const std::string& columns) {
    return db.query("SELECT " + columns + " FROM subscribers WHERE id = '" + id + "'");
  }
};

std::string made_secret(const Answer& answer) {
  const std::string secret = test::one(answer, "secret");
  CHECK(std::regex_match(secret, std::regex("whsec_[A-Za-z0-9+/]{43}=")));
  return secret;
}

bool faults_at(const Answer& answer, const std::string& pointer) {
  return answer.status == 422 && answer.says(R"("pointer":"#/)" + pointer + '"');
}

TEST_CASE("a secret is made unless one is given, and shown this once") {
  SecretsApi hub;
  const auto made = hub.create("");
  const std::string id = test::one(made, "id"), secret = made_secret(made);
  CHECK(hub.row(id, "secret") == secret);
  CHECK(made_secret(hub.create("")) != secret);
  for (const auto& answer :
       {hub.get("/subscribers/" + id), hub.get("/subscribers"), hub.patch(id, "{}")}) {
    CHECK(answer.says(R"("has_secret":true)"));
    CHECK_FALSE(answer.says("whsec_"));
  }
  const auto given = hub.create(R"(,"secret":")" + kGiven + '"');
  CHECK_FALSE(given.says("whsec_"));
  CHECK(hub.row(test::one(given, "id"), "secret") == kGiven);
  const auto none = hub.create(R"(,"secret":null)");
  CHECK(none.says(R"("has_secret":false)"));
  CHECK_FALSE(none.says("whsec_"));
}

TEST_CASE("a rotation makes a new secret and keeps the former one for a while") {
  SecretsApi hub;
  const auto made = hub.create("");
  const std::string id = test::one(made, "id"), first = made_secret(made);
  const auto rotated = hub.rotate(id);
  CHECK(rotated.status == 200);
  const std::string second = made_secret(rotated);
  CHECK(hub.row(id, "secret, previous_secret") == second + "|" + first);
  CHECK(hub.row(id, "previous_secret_until - now() BETWEEN '86390 s' AND '86400 s'") == "t");
  CHECK_FALSE(hub.get("/subscribers/" + id).says("whsec_"));

  const auto early = hub.rotate(id);
  CHECK(early.status == 409);
  CHECK(hub.row(id, "secret, previous_secret") == second + "|" + first);
  const std::string third = made_secret(hub.rotate(id, R"({"force":true,"overlap_seconds":60})"));
  CHECK(hub.row(id, "secret, previous_secret") == third + "|" + second);
  CHECK(hub.row(id, "previous_secret_until < now() + interval '60 s'") == "t");

  hub.db.query("UPDATE subscribers SET previous_secret_until = now()");
  const auto given = hub.rotate(id, R"({"overlap_seconds":0,"secret":")" + kGiven + R"("})");
  CHECK(given.status == 200);
  CHECK_FALSE(given.says("whsec_"));
  CHECK(hub.row(id, "secret, previous_secret, previous_secret_until") == kGiven + "||");
  CHECK(hub.rotate(id).status == 200);
}

TEST_CASE("a rotation is refused for bad values and for nobody") {
  SecretsApi hub;
  const std::string id = test::one(hub.create(""), "id");
  CHECK(faults_at(hub.rotate(id, R"({"secret":"whsec_short"})"), "secret"));
  CHECK_FALSE(hub.rotate(id, R"({"secret":"whsec_hushed"})").says("hushed"));
  CHECK(faults_at(hub.rotate(id, R"({"overlap_seconds":2592001})"), "overlap_seconds"));
  CHECK(faults_at(hub.rotate(id, R"({"overlap_seconds":-1})"), "overlap_seconds"));
  CHECK(faults_at(hub.rotate(id, R"({"x":1})"), "x"));
  CHECK(hub.rotate("00000000-0000-8000-8000-000000000000").status == 404);
  CHECK(hub.row(id, "previous_secret") == "");
}

TEST_CASE("a secret that is replaced or taken away by a change") {
  SecretsApi hub;
  const auto made = hub.create("");
  const std::string id = test::one(made, "id"), first = made_secret(made);
  hub.rotate(id);
  CHECK(hub.patch(id, R"({"secret":")" + kGiven + R"("})").status == 200);
  CHECK(hub.row(id, "secret, previous_secret") == kGiven + "|" + first);
  CHECK(hub.patch(id, R"({"name":"b"})").status == 200);
  CHECK(hub.row(id, "secret, previous_secret") == kGiven + "|" + first);
  CHECK(hub.patch(id, R"({"secret":null})").status == 200);
  CHECK(hub.row(id, "secret, previous_secret, previous_secret_until") == "||");
}

TEST_CASE("basic and bearer authentication are the header Authorization") {
  SecretsApi hub;
  const std::string id = test::one(
      hub.create(R"(,"auth":{"type":"basic","username":"Aladdin","password":"open sesame"},)"
                 R"("headers":{"X-A":"1"})"),
      "id");
  CHECK(hub.row(id, "headers") ==
        R"({"X-A": "1", "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="})");
  const auto shown = hub.patch(id, R"({"auth":{"type":"bearer","token":"t-1"}})");
  CHECK(shown.says(R"("header_names":["Authorization","X-A"])"));
  CHECK_FALSE(shown.says("t-1"));
  CHECK(hub.row(id, "headers") == R"({"X-A": "1", "Authorization": "Bearer t-1"})");
  hub.patch(id, R"({"headers":{"authorization":"Own x"}})");
  CHECK(hub.row(id, "headers") == R"({"X-A": "1", "Authorization": "Own x"})");
  hub.patch(id, R"({"auth":null})");
  CHECK(hub.row(id, "headers") == R"({"X-A": "1"})");
  CHECK(hub.create(R"(,"auth":null)").says(R"("header_names":[])"));
}

TEST_CASE("a header is one header, however it is written") {
  SecretsApi hub;
  const std::string id = test::one(hub.create(R"(,"headers":{"x-api-key":"old"})"), "id");
  hub.patch(id, R"({"headers":{"X-API-Key":"new"}})");
  CHECK(hub.row(id, "headers") == R"({"X-Api-Key": "new"})");
  const auto twice = hub.create(R"(,"headers":{"X-Tenant":"1","x-tenant":"2"})");
  CHECK(twice.status == 422);
  CHECK(twice.says("#/headers/x-tenant"));
  hub.patch(id, R"({"headers":{"x-api-key":null}})");
  CHECK(hub.row(id, "headers") == "{}");
  const std::string large = R"(,"headers":{"X-A":")" + std::string(32'768, 'x') + R"("})";
  CHECK(hub.create(large).status == 422);
}

TEST_CASE("authentication that cannot be sent is refused, and not repeated") {
  SecretsApi hub;
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"("Bearer hushed")", "auth"},
      {R"([])", "auth"},
      {R"({"type":"basic"})", "auth/username"},
      {R"({"type":"basic","username":"u"})", "auth/password"},
      {R"({"type":"basic","username":"u:hushed","password":"p"})", "auth/username"},
      {R"({"type":"basic","username":"u","password":"hushed\r\nX: 1"})", "auth/password"},
      {R"({"type":"basic","username":"u","password":"p","token":"hushed"})", "auth/token"},
      {R"({"type":"bearer"})", "auth/token"},
      {R"({"type":"bearer","token":"hushed twice"})", "auth/token"},
      {R"({"type":"bearer","token":"hushed\u00e4"})", "auth/token"},
      {R"({"type":"hushed"})", "auth/type"},
      {R"({"token":"hushed"})", "auth/type"}};
  for (const auto& [value, pointer] : cases) {
    const auto answer = hub.create(R"(,"auth":)" + value);
    INFO(value << " " << answer.body);
    CHECK(faults_at(answer, pointer));
    CHECK_FALSE(answer.says("hushed"));
  }
  CHECK(faults_at(hub.create(R"(,"headers":{"AUTHORIZATION":"a"},)"
                             R"("auth":{"type":"bearer","token":"b"})"),
                  "auth"));
  CHECK(hub.db.query("SELECT count(*) FROM subscribers") == "0");
}

}  // namespace
}  // namespace eventhub
