// A shard has one owner, and whoever takes it over knows what the former one left.
#include "eventhub/store/ownership.hpp"

#include "integration/dispatcher/store_world.hpp"

namespace eventhub::test {
namespace {

// A dispatcher of its own process.
struct Node {
  Node(boost::asio::io_context& io, const TestDatabase& db, Config config = {})
      : hub(io, db, std::move(config)), ownership(hub.context) {
    run(io, ownership.connect());
  }
  std::vector<Takeover> acquire(int count) { return run(hub.io, ownership.acquire(count)); }
  // Once the server has noticed that the former owner is gone.
  std::vector<Takeover> acquire_all() {
    std::vector<Takeover> all;
    REQUIRE(run_until(hub.io, [&] {
      for (Takeover& takeover : acquire(kShards)) all.push_back(std::move(takeover));
      return all.size() == kShards;
    }));
    return all;
  }
  void release(std::vector<std::int16_t> shards, bool clean) {
    run(hub.io, ownership.release(std::move(shards), clean));
  }
  bool owns(std::int16_t shard) const { return ownership.owned().contains(shard); }
  // As a kill -9: the server ends the session, nothing is said.
  void kill(TestDatabase& db) {
    const std::string pid = std::to_string(ownership.session().backend_pid());
    db.query("SELECT pg_terminate_backend(" + pid + ", 5000)");
    ownership.disconnect();
  }
  void reconnect(TestDatabase& db) {
    kill(db);
    run(hub.io, ownership.connect());
  }
  Hub hub;
  store::Ownership ownership;
};

struct OwnershipWorld {
  // Owner, clean and unclean of a shard.
  std::string marks(int shard) {
    return db.query("SELECT owner IS NOT NULL, clean, unclean FROM shards WHERE shard = " +
                    std::to_string(shard));
  }
  boost::asio::io_context io;
  TestDatabase db;
};

// One node after another takes everything and is lost; what the last one was told of shard 0.
Takeover after_lost_owners(OwnershipWorld& w, int lost, Config config = {}) {
  for (int i = 0; i < lost; ++i) {
    Node node(w.io, w.db);
    node.acquire_all();
    node.kill(w.db);
  }
  Node last(w.io, w.db, std::move(config));
  const std::vector<Takeover> taken = last.acquire_all();
  for (const Takeover& takeover : taken) {
    CHECK(takeover.wait == taken[0].wait);
    CHECK(takeover.careful == taken[0].careful);
  }
  return taken[0];
}

}  // namespace

TEST_CASE("two sessions never own a shard together, and between them they own all") {
  OwnershipWorld w;
  Node a(w.io, w.db), b(w.io, w.db);
  const int parts[] = {5, 17, 64, 3, 40};
  for (const int part : parts) {
    a.acquire(part);
    b.acquire(part);
    for (const std::int16_t shard : a.ownership.owned()) CHECK_FALSE(b.owns(shard));
    if (part == 64) CHECK(a.ownership.owned().size() + b.ownership.owned().size() == kShards);
    std::vector<std::int16_t> some = a.ownership.owned_list();
    some.resize(some.size() / 2);
    a.release(some, true);
    b.acquire(2);
    for (const std::int16_t shard : b.ownership.owned()) CHECK_FALSE(a.owns(shard));
  }
  // What they believe is what the server holds.
  const std::size_t owned = a.ownership.owned().size() + b.ownership.owned().size();
  CHECK(w.db.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid >= 100 AND "
                   "granted AND database = (SELECT oid FROM pg_database WHERE datname = "
                   "current_database())") == std::to_string(owned));
}

TEST_CASE("a shard that is held is left alone, also by who missed that it is") {
  OwnershipWorld w;
  Node a(w.io, w.db), b(w.io, w.db);
  CHECK(a.acquire(kShards).size() == kShards);
  CHECK(b.acquire(kShards).empty());
  CHECK(b.ownership.owned().empty());
}

TEST_CASE("a lost session's shards are another's, and it cannot say it owns them still") {
  OwnershipWorld w;
  Node a(w.io, w.db), b(w.io, w.db);
  a.acquire(kShards);
  const std::string pid = std::to_string(a.ownership.session().backend_pid());
  w.db.query("SELECT pg_terminate_backend(" + pid + ", 5000)");
  CHECK_FALSE(a.ownership.connected());
  CHECK_FALSE(a.ownership.may_send());
  CHECK(b.acquire(kShards).size() == kShards);
}

TEST_CASE("the server ends a session that is silent for idle_session_timeout") {
  OwnershipWorld w;
  Config config;
  config.dispatcher.idle_session_timeout = Millis{300};
  boost::asio::io_context frozen;
  // The hub's database is told by the app, from the same option.
  Hub hub(frozen, w.db, config);
  store::Database database(executor_of(frozen), hub.config.database, hub.metrics,
                           config.dispatcher.idle_session_timeout);
  run(frozen, database.load());
  store::Context context{executor_of(frozen), hub.config,      hub.clock,
                         hub.metrics,         database,        hub.wakeups,
                         hub.partitions,      hub.subscribers, hub.node};
  store::Ownership a(context);
  run(frozen, a.connect());
  CHECK(run(frozen, a.acquire(kShards)).size() == kShards);
  Node b(w.io, w.db);
  CHECK(b.acquire_all().size() == kShards);
  CHECK_FALSE(a.may_send());
}

TEST_CASE("no send may start later than send_lease after the last heartbeat was sent") {
  OwnershipWorld w;
  Hub hub(w.io, w.db);
  ManualClock clock;
  store::Context context{executor_of(w.io), hub.config,      clock,
                         hub.metrics,       hub.database,    hub.wakeups,
                         hub.partitions,    hub.subscribers, hub.node};
  store::Ownership ownership(context);
  CHECK_FALSE(ownership.may_send());
  run(w.io, ownership.connect());
  CHECK_FALSE(ownership.may_send());  // none was committed on this session

  const Mono sent = clock.mono();
  const auto results = run(w.io, ownership.session().run_all(ownership.heartbeat()));
  clock.advance(Millis{2'000});  // the answer took long: the lease counts from the sending
  CHECK(ownership.heard(results, sent).dispatchers == 1);
  CHECK(ownership.may_send());
  clock.advance(Millis{999});
  CHECK(ownership.may_send());
  clock.advance(Millis{1});
  CHECK_FALSE(ownership.may_send());

  ownership.heard(results, clock.mono());
  REQUIRE(ownership.may_send());
  run(w.io, ownership.connect());  // a new session begins without a lease
  CHECK_FALSE(ownership.may_send());
}

TEST_CASE("a heartbeat tells who else is there: live dispatchers, not the dead and the others") {
  OwnershipWorld w;
  Config only_api;
  only_api.roles = {"api"};
  Node a(w.io, w.db), b(w.io, w.db), api(w.io, w.db, only_api);
  const auto beat = [&] {
    const auto results = run(w.io, a.ownership.session().run_all(a.ownership.heartbeat()));
    return a.ownership.heard(results, a.hub.clock.mono());
  };
  CHECK(beat().dispatchers == 2);
  CHECK(beat().remote_dispatchers);
  b.kill(w.db);
  CHECK(beat().dispatchers == 1);
  CHECK_FALSE(beat().remote_dispatchers);
  w.db.sql("UPDATE sequencer SET expire_below = 77");
  CHECK(beat().expire_below == 77);
}

TEST_CASE("after a clean hand-over nobody waits; after a lost owner, everybody else does") {
  OwnershipWorld w;
  Node a(w.io, w.db);
  const Takeover first = a.acquire_all().at(0);
  CHECK_FALSE(first.wait);
  CHECK(w.marks(0) == "t|f|0");
  a.release(a.ownership.owned_list(), true);
  CHECK(w.marks(0) == "f|t|0");
  CHECK_FALSE(after_lost_owners(w, 0).wait);
  CHECK(w.marks(0) == "t|f|0");
  CHECK(after_lost_owners(w, 1).wait);
}

TEST_CASE("an unclean release is waited for like a crash, but not by the node itself") {
  OwnershipWorld w;
  Node a(w.io, w.db);
  a.acquire(kShards);
  a.release(a.ownership.owned_list(), false);
  CHECK(w.marks(0) == "t|f|0");
  for (const Takeover& again : a.acquire(kShards)) CHECK_FALSE(again.wait);
  a.release(a.ownership.owned_list(), false);
  Node b(w.io, w.db);
  CHECK(b.acquire_all().at(0).wait);
  CHECK(w.marks(0) == "t|f|0");  // nobody died
}

TEST_CASE("a take-over that was marked and never heard of is waited for when it is made again") {
  OwnershipWorld w;
  Node lost(w.io, w.db), node(w.io, w.db);
  lost.acquire_all();
  lost.kill(w.db);
  w.db.sql("ALTER TABLE dead_letter_queue RENAME TO away");
  CHECK_THROWS_AS(node.acquire(kShards), pg::Error);  // after the mark
  w.db.sql("ALTER TABLE away RENAME TO dead_letter_queue");
  CHECK(w.marks(0) == "t|f|1");
  node.reconnect(w.db);
  for (const Takeover& taken : node.acquire_all()) CHECK(taken.wait);
  // Once it has heard, the rest of the wait is up to Lanes.
  node.reconnect(w.db);
  for (const Takeover& again : node.acquire_all()) CHECK_FALSE(again.wait);
}

TEST_CASE("shards lost several times in a row are taken over carefully, until one owner stays") {
  OwnershipWorld w;
  CHECK_FALSE(after_lost_owners(w, 2).careful);  // the last one is lost too, without a word
  CHECK(w.marks(0) == "t|f|2");
  CHECK(after_lost_owners(w, 0).careful);
  CHECK(w.marks(0) == "t|f|3");
  SECTION("five quiet minutes begin anew") {
    w.db.sql("UPDATE shards SET acquired_at = acquired_at - interval '6 min'");
    CHECK_FALSE(after_lost_owners(w, 0).careful);
    CHECK(w.marks(0) == "t|f|1");
  }
  SECTION("a clean hand-over begins anew") {
    Node patient(w.io, w.db);
    CHECK(patient.acquire_all().at(0).careful);
    patient.release(patient.ownership.owned_list(), true);
    CHECK(w.marks(0) == "f|t|0");
    CHECK_FALSE(after_lost_owners(w, 1).careful);
  }
  SECTION("as often as is configured") {
    Config config;
    config.dispatcher.careful_after = 5;
    CHECK_FALSE(after_lost_owners(w, 0, config).careful);
    CHECK(after_lost_owners(w, 0, config).careful);
  }
}

TEST_CASE("who loses its session and lives is not taken for one that crashed") {
  OwnershipWorld w;
  Node a(w.io, w.db), b(w.io, w.db);
  Node* owner = &a;
  Node* other = &b;
  const bool back_first = GENERATE(true, false);
  owner->acquire_all();
  for (int turn = 0; turn < 5; ++turn) {
    owner->kill(w.db);
    if (back_first) run(w.io, owner->ownership.connect());
    for (const Takeover& taken : other->acquire_all()) {
      CHECK(taken.wait);
      CHECK_FALSE(taken.careful);
    }
    if (!back_first) run(w.io, owner->ownership.connect());
    CHECK(w.marks(0) == "t|f|0");
    std::swap(owner, other);
  }
  other->kill(w.db);  // which owns nothing
  owner->kill(w.db);
  Node last(w.io, w.db);
  last.acquire_all();
  CHECK(w.marks(0) == "t|f|1");
}

TEST_CASE("a take-over knows whose messages are parked and which dead letters block a key") {
  OwnershipWorld w;
  w.db.sql(add_subscribers(4, ">"));
  w.db.sql(
      "UPDATE subscribers SET on_dead = 'block' WHERE sid = 2;"
      "INSERT INTO parked (event_seq, sid, shard, khash, reason) VALUES"
      " (1, 1, 3, 9, 3), (2, 1, 3, 9, 3), (3, 4, 3, NULL, 3), (4, 2, 5, 1, 3);"
      "INSERT INTO dead_letter_queue (event_seq, sid, shard, khash, message_id, outcome,"
      " reason, attempts) SELECT e, i, s, k, gen_random_uuid(), 3, 'retries', 4 FROM (VALUES"
      " (5, 2, 3, 9), (6, 2, 3, NULL), (7, 1, 3, 9)) v(e, i, s, k);"
      "UPDATE shards SET lwm = 12 WHERE shard = 3");
  Node node(w.io, w.db);
  for (const Takeover& takeover : node.acquire(kShards)) {
    INFO("shard " << takeover.shard);
    if (takeover.shard == 3) {
      CHECK(takeover.lwm == 12);
      CHECK(takeover.parked == std::map<std::int32_t, std::int64_t>{{1, 2}, {4, 1}});
      REQUIRE(takeover.blocking.size() == 1);
      CHECK(takeover.blocking[0].ref == MessageRef{5, 2});
      CHECK(takeover.blocking[0].lane == LaneId{3, 2, 9});
    } else {
      CHECK(takeover.parked.size() == (takeover.shard == 5 ? 1U : 0U));
      CHECK(takeover.blocking.empty());
    }
  }
}

}  // namespace eventhub::test
