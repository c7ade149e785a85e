// What dispatchers know together of receivers that fail, in the table.
#include "eventhub/store/subscriber_health.hpp"

#include "store_world.hpp"

namespace eventhub::test {
namespace {

HealthReport with_wish(std::int32_t sid, CircuitWish wish) {
  HealthReport report;
  report.sid = sid;
  report.wish = wish;
  report.open = Millis{500};
  report.probe = Millis{700};
  return report;
}

// Two processes, and three subscribers of the table.
struct IllDispatchers {
  IllDispatchers() : other(world.io, world.db) { world.db.sql(add_subscribers(3, "a")); }

  std::vector<HealthSeen> tell(Hub& hub, std::vector<HealthReport> reports) {
    store::SubscriberHealth health(hub.context);
    return run(world.io, health.exchange(std::move(reports)));
  }
  HealthSeen of(Hub& hub, std::int32_t sid) {
    for (const HealthSeen& one : tell(hub, {})) {
      if (one.sid == sid) return one;
    }
    HealthSeen none;
    return none;
  }
  void pass(const std::string& interval) {
    world.db.sql("UPDATE subscriber_health SET until = until - interval '" + interval +
                 "', opened_at = opened_at - interval '" + interval + "'");
  }

  StoreWorld world;
  Hub other;
};

}  // namespace

TEST_CASE("a circuit is opened once, and everybody sees it") {
  IllDispatchers d;
  CHECK(d.tell(d.world.hub, {}).empty());
  const auto seen = d.tell(d.world.hub, {with_wish(2, CircuitWish::open)});
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].sid == 2);
  CHECK(seen[0].circuit == Circuit::open);
  CHECK_FALSE(seen[0].failing);
  const Mono now = d.world.hub.clock.mono();
  CHECK(seen[0].until > now);
  CHECK(seen[0].until <= now + Millis{500});
  CHECK(d.of(d.other, 2).circuit == Circuit::open);
  d.pass("400 ms");
  d.tell(d.other, {with_wish(2, CircuitWish::open)});  // later: no longer than it was
  CHECK(d.of(d.other, 2).until <= d.world.hub.clock.mono() + Millis{100});
  CHECK(d.tell(d.other, {with_wish(99, CircuitWish::open)}).size() == 1);  // deleted meanwhile
}

TEST_CASE("the one message of a half-open circuit is one process's") {
  IllDispatchers d;
  d.tell(d.world.hub, {with_wish(1, CircuitWish::open)});
  d.tell(d.world.hub, {with_wish(1, CircuitWish::probe)});
  CHECK(d.of(d.world.hub, 1).circuit == Circuit::open);  // not yet
  d.pass("1 s");
  d.tell(d.other, {with_wish(1, CircuitWish::probe)});
  d.tell(d.world.hub, {with_wish(1, CircuitWish::probe)});
  CHECK(d.of(d.other, 1).ours);
  CHECK(d.of(d.other, 1).circuit == Circuit::half_open);
  CHECK_FALSE(d.of(d.world.hub, 1).ours);
  d.tell(d.world.hub, {with_wish(1, CircuitWish::reopen)});  // not its message
  CHECK(d.of(d.other, 1).circuit == Circuit::half_open);
  d.pass("1 s");  // the process is lost
  d.tell(d.world.hub, {with_wish(1, CircuitWish::probe)});
  CHECK(d.of(d.world.hub, 1).ours);
  d.tell(d.world.hub, {with_wish(1, CircuitWish::reopen)});
  CHECK(d.of(d.world.hub, 1).circuit == Circuit::open);
  CHECK_FALSE(d.of(d.world.hub, 1).ours);
  d.tell(d.other, {with_wish(1, CircuitWish::close)});  // one that was in the air before
  CHECK(d.tell(d.world.hub, {}).empty());
}

TEST_CASE("a circuit that was given up stays closed until somebody answers") {
  IllDispatchers d;
  d.tell(d.world.hub, {with_wish(1, CircuitWish::open)});
  d.tell(d.world.hub, {with_wish(1, CircuitWish::give_up)});
  CHECK(d.of(d.other, 1).spent);
  CHECK(d.of(d.other, 1).circuit == Circuit::closed);
  d.tell(d.other, {with_wish(1, CircuitWish::open)});
  CHECK(d.of(d.other, 1).circuit == Circuit::closed);
  d.tell(d.other, {with_wish(1, CircuitWish::close)});
  CHECK(d.tell(d.world.hub, {}).empty());
  d.tell(d.other, {with_wish(1, CircuitWish::open)});
  CHECK(d.of(d.other, 1).circuit == Circuit::open);
}

TEST_CASE("failures of several processes are one time, which a success of any of them ends") {
  IllDispatchers d;
  HealthReport failed, succeeded;
  failed.sid = succeeded.sid = 3;
  failed.failed = succeeded.succeeded = true;
  CHECK(d.tell(d.world.hub, {failed})[0].failing);
  d.world.db.sql(
      "UPDATE subscriber_health SET failing_since = now() - interval '1 h', last_failure = now() - "
      "interval '30 min'");
  d.tell(d.other, {failed});
  CHECK(d.world.db.query("SELECT last_failure - failing_since > interval '59 min' FROM "
                         "subscriber_health") == "t");
  CHECK(d.tell(d.other, {succeeded}).empty());
  succeeded.failed = true;  // and failed again since
  d.tell(d.world.hub, {failed});
  d.world.db.sql("UPDATE subscriber_health SET failing_since = now() - interval '1 h'");
  d.tell(d.world.hub, {succeeded});
  CHECK(d.world.db.query("SELECT failing_since > now() - interval '1 min' FROM "
                         "subscriber_health") == "t");
  d.world.db.sql("DELETE FROM subscriber_health; UPDATE subscribers SET paused = true");
  CHECK(d.tell(d.other, {failed}).empty());  // what was in the air when it was paused
}

}  // namespace eventhub::test
