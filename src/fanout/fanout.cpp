// The fan-out role: one process at a time turns events into messages. Waits for the lock, then
// read -> match (chunks.cpp) -> commit (store::Sequencer), until stop() or a fault; after a fault
// everything in memory is dropped and it begins anew from what is committed.
#include "eventhub/fanout/fanout.hpp"

#include <algorithm>
#include <optional>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/poll_pace.hpp"
#include "eventhub/store/role_loop.hpp"
#include "eventhub/store/sequencer.hpp"
#include "fanout/chunks.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kRowsPerCommit = 8'000;
constexpr std::int64_t kBodyBytes = 16 << 20;  // of payloads in memory, but for a larger one
constexpr Millis kHeartbeat{1'000};   // the server drops a lock session that is silent for 10 s
constexpr Millis kStandbyFloor{100};  // between two tries for the lock
constexpr Millis kBackoffFloor{100}, kBackoffMax{3'000};

class Fanout final : public store::Role {
 public:
  explicit Fanout(store::Context& context)
      : context_(context), loop_(context, "fanout", kBackoffFloor, kBackoffMax) {}
  std::string_view name() const override { return "fanout"; }
  Task<void> run() override {
    return loop_.run([this] { return serve(); });
  }
  void stop() override;

 private:
  Task<void> serve();
  Task<bool> stand_by(store::Sequencer& session);
  Task<void> own(store::Sequencer& session);
  Task<std::size_t> run_once(store::Sequencer& session);
  Task<void> fan_out(store::Sequencer& session, store::Sequencer::Feed& feed);
  Task<std::size_t> complete(store::Sequencer& session, std::span<EventHeader> events);
  Task<void> commit(store::Sequencer& session, std::span<const EventHeader> events);
  Task<void> update_matcher(std::int64_t version);
  Task<void> heartbeat_when_due(store::Sequencer& session);
  Wakeup& events() { return context_.wakeups.of(store::Signal::events); }

  store::Context& context_;
  store::RoleLoop loop_;
  std::optional<Matcher> matcher_;
  Mono heartbeat_at_{};
};

void Fanout::stop() {
  loop_.stop();
  events().set();
}

Task<void> Fanout::serve() {
  context_.local_horizon = 0;
  context_.fresh_messages.clear();
  context_.fresh_headers.clear();
  context_.fans_out = false;
  heartbeat_at_ = Mono{};
  std::unique_ptr<store::Sequencer> session = co_await store::Sequencer::connect(context_);
  context_.fans_out = co_await stand_by(*session);
  if (context_.fans_out) co_await own(*session);
  context_.fans_out = false;
  co_await session->release();
  context_.wakeups.set_remote(store::Signal::events, true);
  context_.wakeups.notify(store::Signal::events);  // whoever stands by
}

// True with the lock, false when told to stop.
Task<bool> Fanout::stand_by(store::Sequencer& session) {
  while (!loop_.stopping()) {
    const bool owner = co_await session.try_acquire();
    if (owner) co_return true;
    co_await heartbeat_when_due(session);
    loop_.succeeded();
    co_await loop_.pause(kStandbyFloor);
    if (!loop_.stopping()) co_await events().wait(kHeartbeat - kStandbyFloor);
  }
  co_return false;
}

Task<void> Fanout::own(store::Sequencer& session) {
  const auto batch = static_cast<std::size_t>(context_.config.fanout.batch_rows_max);
  PollPace pace(told_range(std::min(context_.config.poll_interval, kHeartbeat)),
                context_.clock.mono());
  while (!loop_.stopping()) {
    co_await heartbeat_when_due(session);
    const std::size_t events_read = co_await run_once(session);
    loop_.succeeded();
    if (events_read > 0) pace.busy(context_.clock.mono());
    // A read that is not full has seen all there was; what came since has set the signal.
    if (events_read == batch) continue;
    const bool woken = co_await events().wait(pace.pause());
    pace.waited(woken, context_.clock.mono());
  }
}

Task<std::size_t> Fanout::run_once(store::Sequencer& session) {
  store::Sequencer::Feed feed = co_await session.read(context_.config.fanout.batch_rows_max);
  if (feed.events.empty()) co_return 0;
  EVENTHUB_FAULT_POINT("fanout.read");
  co_await update_matcher(feed.subscribers_version);
  co_await fan_out(session, feed);
  co_return feed.events.size();
}

// Read and version are one snapshot: an event accepted after a subscriber was committed shows its
// version.
Task<void> Fanout::update_matcher(std::int64_t version) {
  if (context_.subscribers.current()->version != version) {
    co_await context_.subscribers.refresh();
  }
  const SubscriberSetPtr& current = context_.subscribers.current();
  if (!matcher_ || matcher_->version() != current->version) matcher_.emplace(current);
}

Task<void> Fanout::fan_out(store::Sequencer& session, store::Sequencer::Feed& feed) {
  context_.metrics.batch("fanout", feed.events.size());
  std::span<EventHeader> rest(feed.events);
  while (!rest.empty() && !loop_.stopping()) {
    const std::size_t whole = co_await complete(session, rest);
    const std::span<EventHeader> events = rest.first(whole);
    co_await commit(session, events);
    rest = rest.subspan(whole);
    if (rest.empty()) break;
    for (EventHeader& event : events) std::string().swap(event.payload);
    co_await heartbeat_when_due(session);
  }
}

// Reads of the events what somebody's filter or key asks for. Returns how many of them, from the
// first on, can be matched; at least one.
Task<std::size_t> Fanout::complete(store::Sequencer& session, std::span<EventHeader> events) {
  if (!matcher_->reads_bodies()) co_return events.size();
  std::vector<EventHeader*> wanted;
  for (EventHeader& event : events) {
    if (matcher_->needs_body(event)) wanted.push_back(&event);
  }
  if (wanted.empty()) co_return events.size();
  const std::size_t read = co_await session.read_bodies(wanted, kBodyBytes);
  if (read == wanted.size()) co_return events.size();
  co_return static_cast<std::size_t>(wanted[read] - events.data());
}

Task<void> Fanout::commit(store::Sequencer& session, std::span<const EventHeader> events) {
  Chunks chunks(events, *matcher_, kRowsPerCommit);
  Chunk chunk;
  while (!loop_.stopping() && chunks.next(chunk)) {
    co_await session.append(chunk.messages, chunk.through);
    EVENTHUB_FAULT_POINT("fanout.after_commit");
    if (chunk.messages.empty()) continue;
    context_.local_horizon = chunk.through;
    context_.wakeups.notify(store::Signal::messages);
    context_.metrics.message_fanned_out(chunk.messages.size());
    co_await heartbeat_when_due(session);
  }
}

Task<void> Fanout::heartbeat_when_due(store::Sequencer& session) {
  const Mono now = context_.clock.mono();
  if (now - heartbeat_at_ < kHeartbeat) co_return;
  heartbeat_at_ = now;
  co_await session.heartbeat();
}

}  // namespace

std::unique_ptr<store::Role> make_fanout(store::Context& context) {
  return std::make_unique<Fanout>(context);
}

}  // namespace eventhub
