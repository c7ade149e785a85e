// The process's copy of the keys: fresh within a second, and what it writes of their use.
#include "eventhub/store/keys.hpp"

#include <boost/asio/io_context.hpp>

#include "support/catch.hpp"
#include "support/hub.hpp"

namespace eventhub::test {
namespace {

Sha256Digest digest_of(std::uint8_t byte) {
  Sha256Digest digest;
  digest.fill(byte);
  return digest;
}

struct World {
  TestDatabase db;
  boost::asio::io_context io;
  Hub hub{io, db};
  ManualClock clock;
  store::Keys keys{hub.database, hub.wakeups, clock};
  bool ended = false;

  ~World() {
    keys.stop();
    hub.wakeups.stop();
    run_until(io, [this] { return ended || !started; });
    runs_out(io, Millis{5'000});
  }
  // As in a process: with the wake-ups of its own.
  void start() {
    started = true;
    spawn(io.get_executor(), "wakeups", hub.wakeups.run());
    spawn(io.get_executor(), "keys", work(keys, &ended));
  }
  static Task<void> work(store::Keys& keys, bool* ended) {
    co_await keys.run();
    *ended = true;
  }
  std::variant<ApiKeyInfo, store::KeyRefusal> create(std::string name, std::uint8_t byte,
                                                     std::optional<double> rate = {}) {
    NewApiKey key;
    key.name = std::move(name);
    key.scopes = Scopes(Scope::publish);
    key.rate = rate;
    REQUIRE_FALSE(complete(key));
    return run(io, store::create_key(hub.database, std::move(key), digest_of(byte), "test"));
  }
  ApiKeyPtr find(std::uint8_t byte) const {
    const auto& all = keys.current()->by_digest;
    const auto found = all.find(store::digest_prefix(digest_of(byte)));
    return found == all.end() ? nullptr : found->second;
  }
  bool started = false;
};

TEST_CASE("keys: nothing is known before the first look, and then what the table has") {
  World w;
  CHECK(w.keys.current()->version == -1);
  run(w.io, w.keys.refresh());
  CHECK(w.keys.current()->version >= 0);
  CHECK_FALSE(w.keys.current()->any);
  const auto made = std::get<ApiKeyInfo>(w.create("shop", 1));
  run(w.io, w.keys.refresh());
  CHECK(w.keys.current()->any);
  const ApiKeyPtr key = w.find(1);
  REQUIRE(key);
  CHECK(key->id == made.id);
  CHECK(key->name == "shop");
  CHECK(key->producer == "shop");
  CHECK(key->scopes.allow(Scope::publish));
  CHECK_FALSE(key->scopes.allow(Scope::read));
  CHECK(run(w.io, store::revoke_key(w.hub.database, made.id, "test")) == "shop");
  CHECK_FALSE(run(w.io, store::revoke_key(w.hub.database, made.id, "test")));
  run(w.io, w.keys.refresh());
  CHECK_FALSE(w.find(1));
  CHECK(w.keys.current()->any);  // the door that was shut stays shut
  CHECK(w.db.query("SELECT revoked_by FROM api_keys") == "test");
}

TEST_CASE("keys: a name is one key's, until it is revoked") {
  World w;
  const auto first = std::get<ApiKeyInfo>(w.create("shop", 1));
  CHECK(std::get<store::KeyRefusal>(w.create("shop", 2)) == store::KeyRefusal::name_taken);
  run(w.io, store::revoke_key(w.hub.database, first.id, "test"));
  const auto second = std::get<ApiKeyInfo>(w.create("shop", 3));
  const auto listed = run(w.io, store::list_keys(w.hub.database));
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].id == second.id);
  CHECK(listed[0].created_by == "test");
  CHECK_FALSE(listed[0].last_used_at);
}

TEST_CASE("keys: so many work at a time and no more") {
  World w;
  w.db.sql(
      "INSERT INTO api_keys (name, producer, scopes, token_sha256, created_by) SELECT 'n' || i, "
      "'p', '{read}', sha256(i::text::bytea), 'test' FROM generate_series(1, 1000) i");
  CHECK(std::get<store::KeyRefusal>(w.create("more", 1)) == store::KeyRefusal::too_many);
  w.db.sql("UPDATE api_keys SET revoked_at = now() WHERE name = 'n7'");
  CHECK(std::holds_alternative<ApiKeyInfo>(w.create("more", 1)));
}

TEST_CASE("keys: what changes elsewhere is known within a second") {
  World w;
  w.start();
  REQUIRE(run_until(w.io, [&] { return w.keys.current()->version >= 0; }));
  w.db.sql(
      "INSERT INTO api_keys (name, producer, scopes, token_sha256, created_by) VALUES ('a', 'b', "
      "'{admin}', decode(repeat('05', 32), 'hex'), 'test')");
  CHECK(run_until(
      w.io, [&] { return w.find(5) != nullptr; }, Millis{1'500}));
  w.db.sql("UPDATE api_keys SET revoked_at = now()");
  CHECK(run_until(
      w.io, [&] { return w.find(5) == nullptr; }, Millis{1'500}));
}

TEST_CASE("keys: without the notification the look at the table finds it") {
  World w;
  w.db.sql(
      "CREATE OR REPLACE FUNCTION bump_api_keys_version() RETURNS trigger LANGUAGE plpgsql AS "
      "$$ BEGIN UPDATE api_keys_version SET version = version + 1; RETURN NULL; END $$");
  w.start();
  REQUIRE(run_until(w.io, [&] { return w.keys.current()->version >= 0; }));
  static_cast<void>(w.create("shop", 5));
  CHECK(run_until(
      w.io, [&] { return w.find(5) != nullptr; }, Millis{2'000}));
}

TEST_CASE("keys: their use is written now and then, and at the end") {
  World w;
  static_cast<void>(w.create("shop", 5));
  w.start();
  REQUIRE(run_until(w.io, [&] { return w.find(5) != nullptr; }));
  const auto version = w.keys.current()->version;
  const auto last = [&] {
    return w.db.query("SELECT extract(epoch FROM last_used_at)::bigint FROM api_keys");
  };
  const auto seconds = [&] {
    return std::to_string(std::chrono::floor<Seconds>(w.clock.now()).time_since_epoch().count());
  };
  w.find(5)->use->last = w.clock.mono();
  const std::string first = seconds();
  run(w.io, sleep_for(Millis{1'200}));
  CHECK(last().empty());  // not at once
  w.clock.advance(Seconds{6});
  // The row is seen before the answer of its commit has come.
  CHECK(run_until(w.io, [&] { return last() == first && !w.find(5)->use->last; }));
  w.find(5)->use->last = w.clock.mono();
  const std::string second = seconds();
  w.keys.stop();
  CHECK(run_until(w.io, [&] { return w.ended; }));
  CHECK(last() == second);
  CHECK(w.keys.current()->version == version);  // no reason to load the keys again
}

TEST_CASE("keys: a limit is in the table and in the copy, and a change of it arrives") {
  World w;
  const auto made = std::get<ApiKeyInfo>(w.create("shop", 5, 2.5));
  REQUIRE(made.limit);
  run(w.io, w.keys.refresh());
  REQUIRE(w.find(5)->limit);
  CHECK(w.find(5)->limit->per_second == 2.5);
  CHECK(w.find(5)->limit->burst == 3);
  CHECK(run(w.io, store::list_keys(w.hub.database))[0].limit->burst == 3);
  w.db.sql("UPDATE api_keys SET burst = 9");
  run(w.io, w.keys.refresh());
  CHECK(w.find(5)->limit->burst == 9);
  w.db.sql("UPDATE api_keys SET rate = NULL, burst = NULL");
  run(w.io, w.keys.refresh());
  CHECK_FALSE(w.find(5)->limit);
}

TEST_CASE("keys: a key that is loaded again keeps what is remembered of it") {
  World w;
  static_cast<void>(w.create("shop", 5));
  run(w.io, w.keys.refresh());
  const ApiKeyPtr before = w.find(5);
  before->use->last = w.clock.mono();
  static_cast<void>(w.create("other", 6));
  run(w.io, w.keys.refresh());
  REQUIRE(w.find(6));
  CHECK(w.find(5) != before);
  CHECK(w.find(5)->use == before->use);
}

}  // namespace
}  // namespace eventhub::test
