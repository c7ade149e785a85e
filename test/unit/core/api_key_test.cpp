// What a key may be called and allow, and the body that asks for one.
#include "eventhub/core/api_key.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

NewApiKey good(const std::string& body) {
  auto parsed = parse_new_api_key(body);
  if (const auto* error = std::get_if<InputError>(&parsed)) FAIL(error->detail);
  return std::get<NewApiKey>(std::move(parsed));
}

std::string fault(const std::string& body) {
  const auto parsed = parse_new_api_key(body);
  const auto* error = std::get_if<InputError>(&parsed);
  return error == nullptr ? "accepted" : error->pointer;
}

TEST_CASE("a key's scopes: each allows itself, admin allows everything") {
  const std::vector<Scope> all{Scope::publish, Scope::read, Scope::admin};
  for (const Scope has : all) {
    for (const Scope wanted : all) {
      CHECK(Scopes(has).allow(wanted) == (has == wanted || has == Scope::admin));
    }
    CHECK(Scopes(has).allow(Scope::none));
    CHECK(parse_scope(to_string(has)) == has);
  }
  CHECK(Scopes().allow(Scope::none));
  CHECK_FALSE(Scopes().allow(Scope::publish));
  CHECK_FALSE(parse_scope("none"));
  CHECK_FALSE(parse_scope("Admin"));
}

TEST_CASE("a body asks for a key") {
  const auto key = good(R"( {"scopes": ["read","publish","read"], "name":"shop/eu-1"} )");
  CHECK(key.name == "shop/eu-1");
  CHECK(key.producer == "shop/eu-1");
  CHECK(key.scopes.names() == std::vector<std::string_view>{"publish", "read"});
  CHECK(good(R"({"name":"b","producer":"a","scopes":["admin"]})").producer == "a");
  CHECK_FALSE(key.rate);
  CHECK_FALSE(key.burst);
  const auto limited = good(R"({"name":"a","scopes":["read"],"rate":2.5})");
  CHECK(limited.rate == 2.5);
  CHECK(limited.burst == 3);
  CHECK(good(R"({"name":"a","scopes":["read"],"rate":0.1})").burst == 1);
  CHECK(good(R"({"name":"a","scopes":["read"],"burst":7,"rate":1e2})").burst == 7);
}

TEST_CASE("what is wrong with a body, and where") {
  const std::string name(101, 'n');
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "#"},
      {"[]", "#"},
      {R"({"name":"a","scopes":["read"]} x)", "#"},
      {R"({"name":"a","scopes":["read"],"rights":1})", "#"},
      {R"({"scopes":["read"]})", "#/name"},
      {R"({"name":"","scopes":["read"]})", "#/name"},
      {R"({"name":1,"scopes":["read"]})", "#/name"},
      {R"({"name":"a b","scopes":["read"]})", "#/name"},
      {R"({"name":"EVENTHUB_ADMIN_KEY","scopes":["read"]})", "#/name"},
      {R"({"name":"a\u0062","scopes":["read"]})", "#/name"},
      {R"({"name":"\u001b[2J","scopes":["read"]})", "#/name"},
      {R"({"name":")" + name + R"(","scopes":["read"]})", "#/name"},
      {R"({"name":"a","name":"b","scopes":["read"]})", "#/name"},
      {R"({"name":"a","producer":"ä","scopes":["read"]})", "#/producer"},
      {R"({"name":"a"})", "#/scopes"},
      {R"({"name":"a","scopes":[]})", "#/scopes"},
      {R"({"name":"a","scopes":"read"})", "#/scopes"},
      {R"({"name":"a","scopes":["write"]})", "#/scopes"},
      {R"({"name":"a","scopes":["read",1]})", "#/scopes"},
      {R"({"name":"a","scopes":["read"],"scopes":["admin"]})", "#/scopes"},
      {R"({"name":"a","scopes":["read")", "#"},
      {R"({"name":"a","scopes":["read"],"rate":0})", "#/rate"},
      {R"({"name":"a","scopes":["read"],"rate":-1})", "#/rate"},
      {R"({"name":"a","scopes":["read"],"rate":1e7})", "#/rate"},
      {R"({"name":"a","scopes":["read"],"rate":1e999})", "#/rate"},
      {R"({"name":"a","scopes":["read"],"rate":"1"})", "#/rate"},
      {R"({"name":"a","scopes":["read"],"rate":1,"rate":1})", "#/rate"},
      {R"({"name":"a","scopes":["read"],"burst":5})", "#/burst"},
      {R"({"name":"a","scopes":["read"],"rate":1,"burst":0})", "#/burst"},
      {R"({"name":"a","scopes":["read"],"rate":1,"burst":1.5})", "#/burst"},
      {R"({"name":"a","scopes":["read"],"rate":1,"burst":1000001})", "#/burst"},
  };
  for (const auto& [body, pointer] : cases) {
    INFO(body);
    CHECK(fault(body) == pointer);
  }
}

TEST_CASE("what is shown of a key") {
  ApiKeyInfo key;
  key.name = "shop";
  key.producer = "p";
  key.scopes = Scopes(Scope::read);
  key.scopes.add(Scope::publish);
  key.created_by = "key \"ops\"";
  CHECK(to_json(key) ==
        R"({"id":"00000000-0000-0000-0000-000000000000","name":"shop","producer":"p",)"
        R"("scopes":["publish","read"],"rate":null,"burst":null,)"
        R"("created_at":"1970-01-01T00:00:00.000Z",)"
        R"("created_by":"key \"ops\"","last_used_at":null})");
  key.last_used_at = Time{Millis{1'500}};
  const std::string made = to_json(key, "ehk_1");
  CHECK(made.ends_with(R"("last_used_at":"1970-01-01T00:00:01.500Z","token":"ehk_1"})"));
  CHECK(describe(key) == "shop, producer p, scopes publish,read");
  key.limit = RateLimit{.per_second = 0.5, .burst = 10};
  CHECK(to_json(key).find(R"("rate":0.5,"burst":10,)") != std::string::npos);
  CHECK(describe(key).ends_with(", 0.5/s, burst 10"));
}

}  // namespace
}  // namespace eventhub
