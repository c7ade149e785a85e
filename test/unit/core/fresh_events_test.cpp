// Events that a process keeps for its own dispatcher.
#include "eventhub/core/fresh_events.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kRoom = 1 << 20;

Event fresh_event(std::int64_t seq, std::size_t bytes = 100) {
  Event event;
  event.event_seq = seq;
  event.payload.assign(bytes, 'x');
  return event;
}

}  // namespace

TEST_CASE("a fresh event is given once, as it was") {
  FreshEvents fresh;
  fresh.add(fresh_event(7, 123), kRoom);
  CHECK_FALSE(fresh.take(8));
  const std::optional<Event> event = fresh.take(7);
  REQUIRE(event);
  CHECK(event->event_seq == 7);
  CHECK(event->payload.size() == 123);
  CHECK_FALSE(fresh.take(7));
}

TEST_CASE("the oldest fresh events leave first") {
  FreshEvents fresh;
  for (std::int64_t seq = 1; seq <= 100; ++seq) fresh.add(fresh_event(seq, 1'000), 15'000);
  CHECK_FALSE(fresh.take(90));
  CHECK(fresh.take(91));
  CHECK(fresh.take(100));
  fresh.add(fresh_event(101, 20'000), 15'000);  // larger than all may be
  CHECK_FALSE(fresh.take(101));
  CHECK(fresh.take(99));
}

TEST_CASE("one fresh event that nobody takes does not make the others pile up") {
  FreshEvents fresh;
  for (std::int64_t seq = 1; seq <= 100; ++seq) {
    fresh.add(fresh_event(seq), 5'000);
    if (seq > 1) CHECK(fresh.take(seq));
  }
  CHECK_FALSE(fresh.take(1));  // it has left
}

TEST_CASE("fresh events are forgotten when the table may have changed") {
  FreshEvents fresh;
  const std::uint64_t before = fresh.generation();
  fresh.add(fresh_event(1), kRoom);
  fresh.clear();
  CHECK_FALSE(fresh.take(1));
  CHECK(fresh.generation() != before);
}

}  // namespace eventhub
