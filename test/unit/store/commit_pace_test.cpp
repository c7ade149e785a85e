// When a group commit waits for company.
#include "store/commit_pace.hpp"

#include "support/catch.hpp"

namespace eventhub::store {
namespace {

// `rows` each `every`, one commit for each time, for a second.
Mono drive(CommitPace& pace, Mono now, Micros every, std::size_t rows) {
  const Mono end = now + Seconds{1};
  for (; now < end; now += every) pace.begun(now, rows);
  return now;
}

constexpr Mono kStart = Mono{} + Seconds{1'000};

}  // namespace

TEST_CASE("a commit waits for nothing while events are rare") {
  CommitPace pace(Millis{5});
  CHECK(pace.wait(kStart, 1) == Millis{0});
  Mono now = drive(pace, kStart, Millis{5}, 1);  // 200 a second
  pace.begun(now, 1);
  CHECK(pace.wait(now, 1) == Millis{0});
}

TEST_CASE("from a thousand events a second on commits keep a distance") {
  CommitPace pace(Millis{5});
  const Mono now = drive(pace, kStart, Micros{500}, 1);
  pace.begun(now, 1);
  CHECK(pace.wait(now, 1) == Millis{5});
  CHECK(pace.wait(now + Micros{1'700}, 1) == Micros{3'300});
  CHECK(pace.wait(now + Millis{5}, 1) == Millis{0});
  CHECK(pace.wait(now + Millis{500}, 1) == Millis{0});
  CHECK(pace.wait(now, 64) == Millis{0});  // company enough
}

TEST_CASE("commits go at once again when events have become rare") {
  CommitPace pace(Millis{5});
  Mono now = drive(pace, kStart, Micros{500}, 1);
  now = drive(pace, now, Millis{20}, 1);
  CHECK(pace.wait(now, 1) == Millis{0});
  now = drive(pace, now + Seconds{5}, Millis{10}, 50);  // many in few commits
  pace.begun(now, 1);
  CHECK(pace.wait(now, 1) == Millis{5});
  pace.begun(now + Seconds{10}, 1);  // after a rest
  CHECK(pace.wait(now + Seconds{10}, 1) == Millis{0});
}

TEST_CASE("who posts when he is answered is not kept waiting") {
  CommitPace pace(Millis{5});
  Mono now = drive(pace, kStart, Micros{500}, 1);
  REQUIRE(pace.wait(now, 1) > Millis{0});
  Micros waited{0};  // of 5 s
  const Mono end = now + Seconds{5};
  while (now < end) {
    const Micros wait = pace.wait(now, 1);
    waited += wait;
    now += wait + Micros{500};
    pace.begun(now, 1);
  }
  CHECK(waited < Millis{200});
}

// Events come at 2,000 a second whatever happens to those before them.
TEST_CASE("a disk that stalls once is not taken for producers who wait") {
  CommitPace pace(Millis{5});
  Mono now = drive(pace, kStart, Micros{500}, 1);
  REQUIRE(pace.wait(now, 1) > Millis{0});
  now += Millis{300};  // a commit that takes its time; what came meanwhile is the next one
  pace.begun(now, 600);
  now = drive(pace, now, Micros{500}, 1);
  pace.begun(now, 1);
  CHECK(pace.wait(now, 1) == Millis{5});
}

TEST_CASE("without a linger no commit waits") {
  CommitPace pace(Millis{0});
  const Mono now = drive(pace, kStart, Micros{100}, 1);
  CHECK(pace.wait(now, 1) == Millis{0});
}

}  // namespace eventhub::store
