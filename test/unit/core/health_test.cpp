// The circuit of a receiver that fails, its slow start, and what processes tell each other of it.
#include "eventhub/core/health.hpp"

#include <random>

#include "eventhub/core/retry.hpp"
#include "health_world.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

using test::HealthTable;

constexpr Millis kHoldMax{3'600'000}, kProbeLease{15'000};

// One process, and the table.
struct Patient {
  Patient() {
    row.sid = 1;
    row.circuit = {3, Millis{30'000}};
  }

  void exchange(bool waits = true) {
    table.write(health.report(row, waits, kHoldMax, kProbeLease, now), node, now);
    const auto seen = table.row(1, node);
    health.seen(seen ? &*seen : nullptr, now);
  }
  void ended(Sign sign, int times = 1) {
    for (int i = 0; i < times; ++i) health.ended(sign, row.circuit, now);
  }
  // Open, and long enough so that one may go.
  void opened() {
    ended(Sign::failed, 3);
    exchange();
    now += Seconds{30};
    exchange();
    REQUIRE(health.probing());
  }
  int most() const { return health.most(now); }

  Subscriber row;
  Health health;
  HealthTable table;
  int node = 7;
  Mono now{Seconds{1'000}};
};

AttemptResult of_receiver(AttemptResult::Kind kind, int status = 0) {
  AttemptResult result;
  result.kind = kind;
  result.status = status;
  return result;
}

}  // namespace

TEST_CASE("what an attempt says of its receiver") {
  using Kind = AttemptResult::Kind;
  CHECK(sign_of(of_receiver(Kind::answered, 200)) == Sign::delivered);
  CHECK(sign_of(of_receiver(Kind::answered, 204)) == Sign::delivered);
  CHECK(sign_of(of_receiver(Kind::answered, 301)) == Sign::answered);
  CHECK(sign_of(of_receiver(Kind::answered, 404)) == Sign::answered);
  for (const int status : {429, 500, 503, 599, 600, 99}) {
    CHECK(sign_of(of_receiver(Kind::answered, status)) == Sign::failed);
  }
  CHECK(sign_of(of_receiver(Kind::network_error)) == Sign::failed);
  CHECK(sign_of(of_receiver(Kind::timeout)) == Sign::failed);
  CHECK(sign_of(of_receiver(Kind::refused)) == Sign::none);
  CHECK(sign_of(of_receiver(Kind::not_started)) == Sign::none);
}

TEST_CASE("a circuit opens after so many failures in a row, and only then") {
  Patient p;
  for (const Sign between : {Sign::delivered, Sign::answered}) {
    p.ended(Sign::failed, 2);
    CHECK(p.most() == Health::kNoBound);
    p.ended(between);
  }
  p.ended(Sign::failed, 2);
  p.ended(Sign::none, 5);
  CHECK(p.most() == Health::kNoBound);
  p.ended(Sign::failed);
  CHECK(p.most() == 0);  // at once
  CHECK(p.health.urgent());
  p.exchange();
  CHECK(p.table.circuit == Circuit::open);
  CHECK(p.most() == 0);
}

TEST_CASE("a circuit that is off never opens") {
  Patient p;
  p.row.circuit.failures = 0;
  p.ended(Sign::failed, 1'000);
  p.exchange();
  CHECK(p.most() == Health::kNoBound);
  CHECK(p.table.circuit == Circuit::closed);
}

TEST_CASE("a half-open circuit lets one through, and opens again when that fails") {
  Patient p;
  p.ended(Sign::failed, 3);
  p.exchange();
  p.now += Millis{29'999};
  p.exchange();
  CHECK(p.most() == 0);
  p.now += Millis{1};
  p.exchange(false);  // nothing waits
  CHECK(p.most() == 0);
  p.exchange();
  CHECK(p.most() == 1);
  CHECK(p.table.circuit == Circuit::half_open);
  p.ended(Sign::none);  // it was not sent: the next one
  CHECK(p.most() == 1);
  p.ended(Sign::failed);
  CHECK(p.most() == 0);
  p.exchange();
  CHECK(p.table.circuit == Circuit::open);
  p.now += Seconds{29};
  p.exchange();
  CHECK(p.most() == 0);
  p.now += Seconds{1};
  p.exchange();
  CHECK(p.most() == 1);
}

TEST_CASE("after a success 1, 2, 4 and so on may be in the air") {
  Patient p;
  p.opened();
  p.ended(Sign::delivered);
  CHECK_FALSE(p.health.holding());
  p.exchange();
  CHECK(p.table.circuit == Circuit::closed);
  CHECK_FALSE(p.table.row(1, p.node));
  for (int most = 1; most < 10'000; most *= 2) {
    CHECK(p.most() == most);
    const auto next = p.health.next_step(p.now);
    REQUIRE(next);
    CHECK(*next == p.now + Seconds{1});
    p.now = *next;
  }
  CHECK(p.most() == Health::kNoBound);
  CHECK_FALSE(p.health.next_step(p.now));
}

TEST_CASE("an answer that is no success closes a circuit too: somebody is there") {
  Patient p;
  p.opened();
  p.ended(Sign::answered);
  p.exchange();
  CHECK(p.table.circuit == Circuit::closed);
  CHECK(p.most() == 1);
}

TEST_CASE("a circuit holds no longer than it may, and not again until one is delivered") {
  Patient p;
  p.ended(Sign::failed, 3);
  for (int second = 0; second < 3'599; ++second, p.now += Seconds{1}) {
    p.exchange();
    if (p.health.probing()) p.ended(Sign::failed);
    CHECK(p.health.holding());
  }
  p.now += Seconds{2};
  p.exchange();
  p.exchange();
  CHECK_FALSE(p.health.holding());
  CHECK(p.table.spent);
  p.now += Seconds{100};
  p.ended(Sign::failed, 100);
  p.exchange();
  CHECK(p.most() == Health::kNoBound);
  p.ended(Sign::delivered);
  p.exchange();
  CHECK_FALSE(p.table.spent);
  p.ended(Sign::failed, 3);
  CHECK(p.most() == 0);
}

TEST_CASE("a circuit that is switched off closes") {
  Patient p;
  p.ended(Sign::failed, 3);
  p.exchange();
  p.row.circuit.failures = 0;
  p.exchange();
  CHECK(p.table.circuit == Circuit::closed);
  CHECK_FALSE(p.health.holding());
}

TEST_CASE("who is resumed begins anew, slowly") {
  Patient p;
  p.ended(Sign::failed, 3);
  p.health.resume(p.now);
  CHECK(p.most() == 1);
  p.now += Seconds{3};
  CHECK(p.most() == 8);
  p.ended(Sign::failed, 2);
  CHECK(p.most() == 8);
}

TEST_CASE("what happens while a report is on its way is told by the next one") {
  Patient p;
  p.opened();
  const HealthReport report = p.health.report(p.row, true, kHoldMax, kProbeLease, p.now);
  p.ended(Sign::delivered);
  p.table.write(report, p.node, p.now);
  const auto seen = p.table.row(1, p.node);
  p.health.seen(seen ? &*seen : nullptr, p.now);
  CHECK_FALSE(p.health.holding());
  p.exchange();
  CHECK(p.table.circuit == Circuit::closed);
}

TEST_CASE("nothing but failures is told when it lasts, and a success ends it") {
  Patient p;
  p.row.circuit.failures = 0;
  p.ended(Sign::failed);
  p.exchange();
  CHECK_FALSE(p.table.failing_since);  // it may pass at once
  p.now += Seconds{2};
  p.exchange();
  REQUIRE(p.table.failing_since);
  const Mono since = *p.table.failing_since;
  for (int i = 0; i < 20; ++i, p.now += Seconds{1}) {
    p.ended(Sign::failed);
    p.exchange();
  }
  CHECK(p.table.failing_since == since);
  p.ended(Sign::answered);  // no success
  p.exchange();
  CHECK(p.table.failing_since == since);
  p.ended(Sign::delivered);
  p.exchange();
  CHECK_FALSE(p.table.failing_since);
  CHECK_FALSE(p.health.watched());
}

TEST_CASE("answers that are no success are failures when there is nothing else") {
  Patient p;
  for (int i = 0; i < 5; ++i, p.now += Seconds{1}) {
    p.ended(Sign::answered);
    p.exchange();
  }
  CHECK(p.table.failing_since);
  CHECK(p.table.circuit == Circuit::closed);
}

TEST_CASE("who delivers tells so while another process only fails") {
  Patient p;
  p.row.circuit.failures = 0;
  p.table.failing_since = p.now;  // of another one
  p.ended(Sign::delivered);       // not watched: nobody has to know
  p.exchange();
  p.exchange();
  p.now += Seconds{1};
  CHECK(p.health.watched());
  p.ended(Sign::delivered);
  p.exchange();
  CHECK_FALSE(p.table.failing_since);
}

// Three processes and their table, at random.
TEST_CASE("whatever processes do, a half-open circuit lets one of them send one") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](int below) {
      return static_cast<int>(random() % static_cast<std::uint64_t>(below));
    };
    Patient p[3];
    HealthTable table;
    Mono now{Seconds{5'000}};
    for (int step = 0; step < 400; ++step, now += Millis{pick(2'000)}) {
      Patient& one = p[pick(3)];
      one.now = now;
      const bool sends = one.most() > 0;
      if (sends) one.ended(pick(10) == 0 ? Sign::delivered : Sign::failed);
      table.write(one.health.report(one.row, pick(2) == 0, kHoldMax, kProbeLease, now),
                  static_cast<int>(&one - p), now);
      for (int i = 0; i < 3; ++i) {  // a heartbeat later all have read it
        const auto seen = table.row(1, i);
        if (&one != &p[i]) p[i].health.report(p[i].row, false, kHoldMax, kProbeLease, now);
        p[i].health.seen(seen ? &*seen : nullptr, now);
      }
      int probing = 0;
      for (const Patient& each : p) {
        probing += each.health.probing() ? 1 : 0;
        if (table.circuit != Circuit::closed) CHECK(each.health.most(now) <= 1);
      }
      CHECK(probing <= 1);
      CHECK((table.circuit == Circuit::half_open) == (probing == 1));
    }
  }
}

}  // namespace eventhub
