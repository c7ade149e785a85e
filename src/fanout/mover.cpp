// The second half of the fan-out role: one process at a time makes events of what was published by
// SQL (store::Outbox). It looks as often as the fan-out does when nobody notifies; publish() does
// not, because in PostgreSQL transactions that notify commit one after the other.
#include <algorithm>

#include "eventhub/core/poll_pace.hpp"
#include "eventhub/fanout/fanout.hpp"
#include "eventhub/store/outbox.hpp"
#include "eventhub/store/role_loop.hpp"

namespace eventhub {
namespace {

constexpr Millis kMoverBackoffFloor{100}, kMoverBackoffMax{3'000};
constexpr Millis kMoverStandby{1'000};
constexpr Millis kMoverPollFloor{10};
constexpr Seconds kMoverQuiet{60};  // nothing to move for so long: it looks more rarely
constexpr Millis kMoverPollQuiet{500};
constexpr Millis kMoverPollMax{1'000};  // the server drops a lock session that is silent for 10 s

class Mover final : public store::Role {
 public:
  explicit Mover(store::Context& context)
      : context_(context), loop_(context, "outbox", kMoverBackoffFloor, kMoverBackoffMax) {}
  std::string_view name() const override { return "outbox"; }
  Task<void> run() override {
    return loop_.run([this] { return serve(); });
  }
  void stop() override {
    loop_.stop();
    published().set();
  }

 private:
  Task<void> serve();
  Task<void> own(store::Outbox& outbox);
  Wakeup& published() { return context_.wakeups.of(store::Signal::outbox); }

  store::Context& context_;
  store::RoleLoop loop_;
};

Task<void> Mover::serve() {
  std::unique_ptr<store::Outbox> outbox = co_await store::Outbox::connect(context_);
  const bool owner = co_await loop_.stand_by(*outbox, kMoverStandby);
  if (!owner) co_return;
  co_await own(*outbox);
  co_await outbox->release();
}

Task<void> Mover::own(store::Outbox& outbox) {
  const Millis usual = std::clamp(context_.config.poll_interval, kMoverPollFloor, kMoverPollQuiet);
  PollPace pace({kMoverPollFloor, usual, kMoverPollQuiet, kMoverQuiet}, context_.clock.mono());
  while (!loop_.stopping()) {
    const Mono begun = context_.clock.mono();
    const bool more = co_await outbox.move();
    loop_.succeeded();
    if (more) {
      pace.busy(begun);
      continue;
    }
    // Rows that went stay in the way while some transaction is older than their end: such a look is
    // dear, and then a rare one.
    const auto took = std::chrono::duration_cast<Millis>(context_.clock.mono() - begun);
    const bool woken = co_await published().wait(std::clamp(took * 9, pace.pause(), kMoverPollMax));
    pace.waited(woken, context_.clock.mono());
  }
}

}  // namespace

std::unique_ptr<store::Role> make_mover(store::Context& context) {
  return std::make_unique<Mover>(context);
}

}  // namespace eventhub
