// The database server's time, as a process knows it.
#include "eventhub/core/server_clock.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

// A machine whose wall clock can be set.
class SetClock final : public Clock {
 public:
  Time now() const override { return true_.now() + wrong; }
  Mono mono() const override { return true_.mono(); }
  void advance(Micros by) { true_.advance(by); }
  Time right() const { return true_.now(); }
  Millis wrong{0};

 private:
  ManualClock true_;
};

}  // namespace

TEST_CASE("the server's clock is followed, whatever this machine's clock does") {
  SetClock local;
  local.wrong = Seconds{-600};
  ServerClock clock(local);
  CHECK(clock.now() == local.now());  // no word yet
  clock.told(local.right(), local.mono());
  CHECK(clock.now() == local.right());
  CHECK(clock.mono() == local.mono());
  local.wrong = Seconds{86'400};
  local.advance(Seconds{5});
  CHECK(clock.now() == local.right());
}

TEST_CASE("a word of the server moves its clock no further than it proves") {
  SetClock local;
  ServerClock clock(local);
  Mono sent = local.mono();
  const Time first = local.right();
  local.advance(Millis{20});
  clock.told(first, sent);  // it may have been shown 0 to 20 ms ago
  CHECK(clock.now() == local.right() - Millis{10});
  local.advance(Seconds{1});
  sent = local.mono();
  const Time frozen = local.right();
  local.advance(Seconds{8});
  clock.told(frozen, sent);
  CHECK(clock.now() == local.right() - Millis{10});
  clock.told(local.right(), local.mono());
  CHECK(clock.now() == local.right());
  clock.told(local.right() + Seconds{30}, local.mono());  // the server's clock was set
  CHECK(clock.now() == local.right() + Seconds{30});
}

TEST_CASE("doubt says how far the server's clock may still move") {
  SetClock local;
  ServerClock clock(local);
  CHECK(clock.doubt() == Millis{0});
  const auto word = [&](Millis out, Millis back) {
    const Mono sent = local.mono();
    local.advance(out);
    const Time shown = local.right();
    local.advance(back);
    clock.told(shown, sent);
  };
  word(Millis{20}, Millis{0});  // in truth at its very end
  CHECK(clock.now() == local.right() + Millis{10});
  CHECK(clock.doubt() == Millis{10});
  word(Millis{2}, Millis{500});  // excludes only one side
  CHECK(clock.now() == local.right() + Millis{2});
  CHECK(clock.doubt() == Millis{2});
  word(Millis{0}, Millis{1});
  CHECK(clock.now() == local.right());
  CHECK(clock.doubt() == Millis{0});
  clock.told(local.right() + Seconds{30}, local.mono() - Millis{8});  // it was set
  CHECK(clock.doubt() == Millis{8});
}

}  // namespace eventhub
