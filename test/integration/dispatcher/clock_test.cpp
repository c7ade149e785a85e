// A dispatcher on a machine whose clock is wrong.
#include "eventhub/dispatcher/dispatcher.hpp"
#include "store_world.hpp"
#include "support/wrong_clock.hpp"

namespace eventhub::test {
namespace {

Config calling_this_machine() {
  Config config;
  config.egress.allow_cidrs = {"127.0.0.0/8"};
  return config;
}

}  // namespace

TEST_CASE("the times of a retry are the server's, whatever the dispatcher's clock shows") {
  StoreWorld w(1'000, calling_this_machine());
  w.db.sql(
      "INSERT INTO subscribers (name, event_type, webhook_url, retry_backoff_seconds, retry_jitter,"
      " created_by) VALUES ('a', 'a', 'http://127.0.0.1:1/', '{30}', 0, 'test');"
      "INSERT INTO events (id, event_type, version, payload) VALUES (gen_random_uuid(), 'a', 'v1',"
      " '{}');"
      "INSERT INTO messages SELECT event_seq, 1, 0, NULL FROM events;"
      "UPDATE sequencer SET cursor = (SELECT max(event_seq) FROM events)");
  const WrongClock behind(Seconds{-600});
  store::Context context{executor_of(w.io), w.hub.config,      behind,
                         w.hub.metrics,     w.hub.database,    w.hub.wakeups,
                         w.hub.partitions,  w.hub.subscribers, w.hub.node};
  Running dispatcher(w.hub, make_dispatcher(context));
  REQUIRE(
      run_until(w.io, [&] { return w.db.query("SELECT count(*) FROM delivery_attempts") == "1"; }));
  CHECK(w.db.query("SELECT next_attempt_at - attempted_at BETWEEN interval '29 s' AND interval "
                   "'31 s' FROM delivery_attempts") == "t");
  CHECK(w.db.query("SELECT now() - attempted_at BETWEEN interval '-100 ms' AND interval '30 s' "
                   "FROM delivery_attempts") == "t");
  CHECK(dispatcher.stop());
}

}  // namespace eventhub::test
