// Who is let in, decided from what a request and the settings say.
#include "api/access.hpp"

#include "eventhub/http/digest.hpp"
#include "support/catch.hpp"

namespace eventhub::api {
namespace {

TEST_CASE("the token of an Authorization header") {
  CHECK(bearer_token("Bearer abc") == "abc");
  CHECK(bearer_token("bearer abc") == "abc");
  CHECK(bearer_token("BEARER   abc") == "abc");
  CHECK(bearer_token("Bearer " + std::string(512, 'a')).size() == 512);
  for (const std::string& wrong :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer    "),
        std::string("Bearerabc"), std::string("Basic abc"), std::string("abc"),
        "Bearer " + std::string(513, 'a')}) {
    INFO(wrong);
    CHECK(bearer_token(wrong).empty());
  }
}

TEST_CASE("hosts that are this machine") {
  for (const char* host :
       {"localhost", "localhost:3000", "LocalHost:1", "127.0.0.1", "127.0.0.1:3000", "127.1.2.3",
        "[::1]", "[::1]:3000", "[::ffff:127.0.0.1]:80"}) {
    INFO(host);
    CHECK(is_local_host(host));
  }
  for (const char* host : {"",
                           "hub",
                           "example.com",
                           "localhost.example.com",
                           "127.0.0.1.example.com",
                           "10.0.0.1",
                           "[::2]",
                           "[::1",
                           "0.0.0.0",
                           "[::1].example.com",
                           "[::1]x",
                           "[::1]:",
                           "localhost:example.com",
                           "localhost:",
                           "localhost:80x",
                           "localhost:123456",
                           "localhost:80:80",
                           "127.0.0.1:",
                           ":80",
                           "localhos\x54.",
                           "xlocalhost",
                           "127.1"}) {
    INFO(host);
    CHECK_FALSE(is_local_host(host));
  }
}

struct DoorCase {
  const char* bind;
  bool keys, admin, insecure;
  Door door;
};

TEST_CASE("what a process lets in: its address, its keys, server.insecure") {
  const std::vector<DoorCase> cases{
      {"127.0.0.1", false, false, false, Door::open_to_this_machine},
      {"127.9.9.9", false, false, false, Door::open_to_this_machine},
      {"::1", false, false, false, Door::open_to_this_machine},
      {"unix:/run/hub.sock", false, false, false, Door::open_to_this_machine},
      {"unix:/run/hub.sock", true, false, false, Door::keyed},
      {"::ffff:127.0.0.1", false, false, false, Door::open_to_this_machine},
      {"0.0.0.0", false, false, false, Door::refused},
      {"::", false, false, false, Door::refused},
      {"10.0.0.1", false, false, false, Door::refused},
      {"127.0.0.1", false, false, true, Door::open_to_all},
      {"0.0.0.0", false, false, true, Door::open_to_all},
      {"127.0.0.1", true, false, false, Door::keyed},
      {"0.0.0.0", true, false, false, Door::keyed},
      {"0.0.0.0", false, true, false, Door::keyed},
      {"127.0.0.1", false, true, true, Door::keyed},
      {"0.0.0.0", true, false, true, Door::keyed},
  };
  for (const DoorCase& one : cases) {
    INFO(one.bind << one.keys << one.admin << one.insecure);
    Config config;
    config.server.bind = one.bind;
    config.server.insecure = one.insecure;
    if (one.admin) config.server.admin_key = std::string(32, 'k');
    store::KeySet keys;
    keys.any = one.keys;
    CHECK(door(config, keys) == one.door);
  }
}

TEST_CASE("a door of its own for management counts, too") {
  Config config;
  config.server.management_on_metrics_port = true;
  CHECK(door(config, {}) == Door::open_to_this_machine);
  config.server.metrics_bind = "0.0.0.0";
  CHECK(door(config, {}) == Door::refused);
  config.roles = {"dispatcher"};  // it serves nothing that asks for a key
  CHECK(door(config, {}) == Door::keyed);
}

struct Doorman {
  store::KeySetPtr keys = std::make_shared<store::KeySet>();
  ServerConfig config;
  std::string bind = "127.0.0.1";

  void know(const std::string& token, Scope scope, std::optional<RateLimit> limit = {}) {
    auto set = std::make_shared<store::KeySet>(*keys);
    set->version = 1;
    set->any = true;
    auto key = std::make_shared<ApiKey>();
    key->name = token;
    key->scopes = Scopes(scope);
    key->limit = limit;
    key->digest = http::sha256(token);
    set->by_digest.emplace(store::digest_prefix(key->digest), std::move(key));
    keys = std::move(set);
  }
  void know_of_none() {
    auto set = std::make_shared<store::KeySet>();
    set->version = 1;
    keys = std::move(set);
  }
  Access::Verdict ask(Scope wanted, const std::string& authorization = "",
                      const std::string& host = "localhost") const {
    http::Request request;
    request.headers.emplace_back("Host", host);
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    return Access(keys, config, bind).check(wanted, request, Mono{Seconds{1}});
  }
  int status(Scope wanted, const std::string& authorization = "",
             const std::string& host = "localhost") const {
    const auto verdict = ask(wanted, authorization, host);
    return verdict.refusal ? verdict.refusal->status : 200;
  }
};

TEST_CASE("a request is judged by the keys there are") {
  Doorman door;
  CHECK(door.status(Scope::none) == 200);
  CHECK(door.status(Scope::publish) == 503);  // nothing is known yet
  door.know_of_none();
  CHECK(door.status(Scope::admin) == 200);
  CHECK(door.status(Scope::admin, "Bearer whatever") == 200);
  CHECK(door.status(Scope::admin, "", "example.com") == 403);
  door.config.insecure = true;
  CHECK(door.status(Scope::admin, "", "example.com") == 200);
  door.config.insecure = false;
  door.bind = "10.0.0.1";
  CHECK(door.status(Scope::admin) == 401);
  door.know("read", Scope::read);
  for (const char* bind : {"127.0.0.1", "0.0.0.0"}) {
    door.bind = bind;
    CHECK(door.status(Scope::read) == 401);
    CHECK(door.status(Scope::read, "Bearer read") == 200);
    CHECK(door.status(Scope::read, "Bearer read", "example.com") == 200);
    CHECK(door.status(Scope::publish, "Bearer read") == 403);
    CHECK(door.status(Scope::publish, "Bearer rea") == 401);
    CHECK(door.status(Scope::none) == 200);
  }
  door.config.insecure = true;  // says nothing once there is a key
  CHECK(door.status(Scope::read) == 401);
}

int status_with(const Doorman& door, const char* name, const char* value) {
  http::Request request;
  request.headers = {{"Host", "localhost:3000"}, {name, value}};
  const auto verdict = Access(door.keys, door.config, door.bind).check(Scope::admin, request, {});
  return verdict.refusal ? verdict.refusal->status : 200;
}

TEST_CASE("an open hub answers no page of another site and nobody behind a proxy") {
  Doorman door;
  door.know_of_none();
  const std::vector<std::pair<const char*, const char*>> refused{
      {"Origin", "http://evil.example"},
      {"origin", "https://localhost.evil.example"},
      {"Origin", "null"},
      {"Origin", ""},
      {"Origin", "localhost"},
      {"Origin", "file://localhost"},
      {"Forwarded", "for=192.0.2.1"},
      {"Forwarded", ""},
      {"X-Forwarded-For", "127.0.0.1"},
      {"x-forwarded-host", "localhost"},
      {"X-Forwarded-Proto", "http"},
      {"Via", "1.1 proxy"},
  };
  for (const auto& [name, value] : refused) {
    INFO(name << ": " << value);
    door.config.insecure = false;
    CHECK(status_with(door, name, value) == 403);
    door.config.insecure = true;
    CHECK(status_with(door, name, value) == 200);
  }
  for (const bool insecure : {false, true}) {
    door.config.insecure = insecure;
    for (const char* site : {"cross-site", "same-site", "", "Same-Origin", "none, cross-site"}) {
      INFO(site);
      CHECK(status_with(door, "Sec-Fetch-Site", site) == 403);
    }
    CHECK(status_with(door, "Sec-Fetch-Site", "same-origin") == 200);
    CHECK(status_with(door, "sec-fetch-site", "none") == 200);
    CHECK(status_with(door, "Origin", "http://localhost:8080") == 200);
    CHECK(status_with(door, "Origin", "https://[::1]") == 200);
    CHECK(status_with(door, "X-Forwarded", "for=192.0.2.1") == 200);
  }
  CHECK(door.status(Scope::admin, "", "") == 200);  // insecure
  door.config.insecure = false;
  CHECK(door.status(Scope::admin, "", "") == 403);
  http::Request old;  // HTTP/1.0 without a Host
  CHECK_FALSE(Access(door.keys, door.config, door.bind).check(Scope::admin, old, {}).refusal);
  door.know("key", Scope::admin);
  http::Request keyed;
  keyed.headers = {{"Via", "1.1 proxy"}, {"Host", "hub"}, {"Authorization", "Bearer key"}};
  CHECK_FALSE(Access(door.keys, door.config, door.bind).check(Scope::admin, keyed, {}).refusal);
}

TEST_CASE("the key of a request is told, and its use noted") {
  Doorman door;
  door.know("one", Scope::publish);
  door.know("two", Scope::publish);
  const auto verdict = door.ask(Scope::publish, "Bearer two");
  REQUIRE(verdict.key);
  CHECK(verdict.key->name == "two");
  CHECK(verdict.key->use->last == Mono{Seconds{1}});
  CHECK_FALSE(door.ask(Scope::none, "Bearer two").key);
  const auto refused = door.ask(Scope::admin, "Bearer one");
  CHECK(refused.refusal);
  CHECK_FALSE(refused.key);
}

TEST_CASE("a key with a limit makes so many requests, and is told how many are left") {
  Doorman door;
  door.know("one", Scope::publish, RateLimit{.per_second = 0.1, .burst = 2});
  door.know("two", Scope::publish);
  CHECK(door.status(Scope::admin, "Bearer one") == 403);  // takes none
  const auto first = door.ask(Scope::publish, "Bearer one");
  CHECK(first.key);
  CHECK(first.headers ==
        "RateLimit-Policy: \"default\";q=2;w=20\r\nRateLimit: \"default\";r=1;t=10\r\n");
  CHECK(door.status(Scope::publish, "Bearer one") == 200);
  const auto refused = door.ask(Scope::publish, "Bearer one");
  REQUIRE(refused.refusal);
  CHECK_FALSE(refused.key);
  CHECK(refused.refusal->status == 429);
  CHECK(refused.refusal->headers.find("Retry-After: 10\r\n") != std::string::npos);
  CHECK(refused.headers ==
        "RateLimit-Policy: \"default\";q=2;w=20\r\nRateLimit: \"default\";r=0;t=20\r\n");
  CHECK(door.ask(Scope::publish, "Bearer two").headers.empty());
}

TEST_CASE("the admin key of the settings allows everything") {
  Doorman door;
  door.know_of_none();
  door.config.admin_key = "an-admin-key";
  for (const Scope scope : {Scope::publish, Scope::read, Scope::admin}) {
    CHECK(door.status(scope, "Bearer an-admin-key") == 200);
    CHECK(door.status(scope) == 401);
  }
  CHECK(door.ask(Scope::publish, "Bearer an-admin-key").key->producer == "admin");
}

TEST_CASE("digests: SHA-256, and equal only when they are") {
  const auto digest = http::sha256("abc");
  std::string hex;
  for (const auto byte : digest) hex += fmt::format("{:02x}", byte);
  CHECK(hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(http::equal_digests(digest, http::sha256("abc")));
  for (std::size_t i = 0; i < digest.size(); ++i) {
    auto other = digest;
    other[i] ^= 1;
    CHECK_FALSE(http::equal_digests(digest, other));
  }
  const std::string token = http::random_token();
  CHECK(token.size() == 68);
  CHECK(token.starts_with("ehk_"));
  CHECK(token != http::random_token());
}

}  // namespace
}  // namespace eventhub::api
