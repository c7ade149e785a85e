// The watch over the server's settings, on a real one whose fsync, full_page_writes and
// synchronous_commit are off.
#include "eventhub/store/server_watch.hpp"

#include "support/hub.hpp"
#include "support/wrong_clock.hpp"

namespace eventhub {
namespace {

using Catch::Matchers::Contains;
using store::ServerWatch;
using test::run;
using test::WrongClock;

struct World {
  boost::asio::io_context io;
  test::TestDatabase db;
  test::Hub hub{io, db};
  std::string lost;

  double metric(const std::string& name) {
    const std::string text = "\n" + hub.metrics.expose();
    const auto at = text.find("\n" + name + " ");
    if (at == std::string::npos) return -1e9;
    return std::stod(text.substr(at + name.size() + 2));
  }
};

void set(const std::string& setting, const std::string& value) {
  auto& server = test::PrivatePostgres::server();
  server.psql("postgres", "ALTER SYSTEM SET " + setting + " = " + value);
  server.psql("postgres", "SELECT pg_reload_conf()");
}

Task<void> keep_watching(ServerWatch& one) {
  co_await one.run();
}

TEST_CASE("a hub does not start on a server without fsync, unless that is allowed") {
  World w;
  ServerWatch strict(w.hub.context, w.lost);
  CHECK_THROWS_WITH(run(w.io, strict.first()),
                    Contains("fsync") && Contains("database.allow_unsafe_durability"));
  DatabaseConfig config = w.db.config();
  config.allow_unsafe_durability = true;
  Config whole;
  whole.database = config;
  test::Hub lenient(w.io, whole);
  ServerWatch allowed(lenient.context, w.lost);
  run(w.io, allowed.first());
  CHECK(w.lost == "fsync is off, full_page_writes is off");
}

TEST_CASE("the session's own synchronous_commit counts, not the server's or the role's") {
  World w;
  w.db.sql("ALTER ROLE eventhub IN DATABASE " + w.db.name() + " SET synchronous_commit = off");
  CHECK(w.db.query("SHOW synchronous_commit") == "off");
  ServerWatch one(w.hub.context, w.lost);
  CHECK_THROWS(run(w.io, one.first()));
  CHECK(w.lost == "fsync is off, full_page_writes is off");
  CHECK(w.metric("eventhub_database_unsafe{setting=\"fsync\"}") == 1);
  CHECK(w.metric("eventhub_database_unsafe{setting=\"synchronous_commit\"}") == 0);
  CHECK(w.metric("eventhub_database_unsafe{setting=\"statement_timeout\"}") == 0);
}

TEST_CASE("the clocks are compared, within the round trip") {
  World w;
  ServerWatch right(w.hub.context, w.lost);
  CHECK_THROWS(run(w.io, right.first()));
  CHECK(std::abs(w.metric("eventhub_database_clock_difference_seconds")) < 1);

  const WrongClock ahead(Seconds{90});
  store::Context context{test::executor_of(w.io), w.hub.config,      ahead,
                         w.hub.metrics,           w.hub.database,    w.hub.wakeups,
                         w.hub.partitions,        w.hub.subscribers, w.hub.node};
  ServerWatch wrong(context, w.lost);
  CHECK_THROWS(run(w.io, wrong.first()));
  const double difference = w.metric("eventhub_database_clock_difference_seconds");
  CHECK(difference < -85);
  CHECK(difference > -95);
}

TEST_CASE("a running hub looks again after every new connection, and says what changed") {
  World w;
  Config whole;
  whole.database = w.db.config();
  whole.database.allow_unsafe_durability = true;
  test::Hub hub(w.io, whole);
  ServerWatch one(hub.context, w.lost);
  run(w.io, one.first());
  spawn(test::executor_of(w.io), "watch", keep_watching(one));
  CHECK(test::run_until(w.io, [&] { return w.lost == "fsync is off, full_page_writes is off"; }));
  // Sooner than the look every ten seconds. A reload reaches the sessions one by one.
  const auto is_seen = [&](const std::string& wanted) {
    return test::run_until(
        w.io,
        [&] {
          const auto connection = run(w.io, hub.database.connect(store::Profile::hot));
          run(w.io, sleep_for(Millis{100}));
          return w.lost == wanted;
        },
        Millis{5'000});
  };
  set("fsync", "on");
  CHECK(is_seen("full_page_writes is off"));
  set("full_page_writes", "on");
  CHECK(is_seen(""));
  set("fsync", "DEFAULT");
  set("full_page_writes", "DEFAULT");
  CHECK(is_seen("fsync is off, full_page_writes is off"));
  one.stop();
  CHECK(test::runs_out(w.io, Millis{15'000}));
}

}  // namespace
}  // namespace eventhub
