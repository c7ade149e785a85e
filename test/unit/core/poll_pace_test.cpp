// How often a loop looks when nobody wakes it.
#include "eventhub/core/poll_pace.hpp"
#include "support/catch.hpp"

using namespace eventhub;

namespace {

// The longest pause of a loop that finds nothing for `quiet`.
Millis pause_after(PollPace pace, Mono begun, Seconds quiet) {
  for (Mono now = begun; now < begun + quiet; now += pace.pause()) pace.waited(false, now);
  return pace.pause();
}

}  // namespace

TEST_CASE("a loop that is told of everything looks more rarely the longer it is quiet",
          "[poll-pace]") {
  const Mono begun{};
  const PollPace pace(told_range(Millis{100}), begun);
  CHECK(pace.pause() == Millis{10});
  CHECK(pause_after(pace, begun, Seconds{9}) == Millis{100});
  CHECK(pause_after(pace, begun, Seconds{20}) == Millis{1'000});
  CHECK(pause_after(PollPace(told_range(Millis{1}), begun), begun, Seconds{9}) == Millis{10});
  CHECK(pause_after(PollPace(told_range(Millis{5'000}), begun), begun, Seconds{60}) ==
        Millis{5'000});
}

TEST_CASE("what it finds makes it look again soon", "[poll-pace]") {
  const Mono begun{};
  PollPace pace(told_range(Millis{100}), begun);
  Mono now = begun;
  for (; now < begun + Seconds{30}; now += pace.pause()) pace.waited(false, now);
  pace.waited(true, now);
  CHECK(pace.pause() == Millis{10});
  CHECK(pause_after(pace, now, Seconds{9}) == Millis{100});
}
