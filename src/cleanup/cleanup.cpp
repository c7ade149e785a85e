// The cleanup role: one process at a time keeps house (store::Housekeeping). Every two seconds it
// looks for dead nodes, which also keeps its lock session alive; every cleanup.interval it does a
// whole round. A step that fails is logged and left for the next round.
#include "eventhub/cleanup/cleanup.hpp"

#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/housekeeping.hpp"
#include "eventhub/store/idempotency_buckets.hpp"
#include "eventhub/store/role_loop.hpp"

namespace eventhub {
namespace {

constexpr Millis kTick{2'000};  // the server drops a lock session that is silent for 10 s
constexpr Millis kBackoffFloor{200}, kBackoffMax{5'000};
constexpr Millis kRareEvery{60'000};

class Cleanup final : public store::Role {
 public:
  explicit Cleanup(store::Context& context)
      : context_(context), loop_(context, "cleanup", kBackoffFloor, kBackoffMax) {}
  std::string_view name() const override { return "cleanup"; }
  Task<void> run() override {
    return loop_.run([this] { return serve(); });
  }
  void stop() override { loop_.stop(); }

 private:
  Task<void> serve();
  Task<void> own(store::Housekeeping& house);
  Task<void> run_once(store::Housekeeping& house);
  Task<void> step(std::string name, Task<void> work);
  Task<void> drop(store::Housekeeping& house);
  Task<void> dead_letters(store::Housekeeping& house);
  Task<void> idempotency_keys();
  Task<void> rare(store::Housekeeping& house);

  store::Context& context_;
  store::RoleLoop loop_;
  Mono rare_at_{};
};

Task<void> Cleanup::serve() {
  // What is one number for the whole hub comes only from the owner.
  context_.metrics.dlq_size(0);
  context_.metrics.parked(0);
  context_.metrics.partitions(0);
  std::unique_ptr<store::Housekeeping> house = co_await store::Housekeeping::connect(context_);
  const bool owner = co_await loop_.stand_by(*house, kTick);
  if (!owner) co_return;
  co_await own(*house);
  co_await house->release();
}

Task<void> Cleanup::own(store::Housekeeping& house) {
  EVENTHUB_FAULT_POINT("cleanup.acquired");
  log::info("cleanup keeps house", {{"interval_ms", context_.config.cleanup.interval.count()}});
  Mono round_at{};
  while (!loop_.stopping()) {
    co_await step("end_dead_sessions", house.end_dead_sessions());
    const Mono now = context_.clock.mono();
    if (now - round_at >= context_.config.cleanup.interval) {
      round_at = now;
      co_await run_once(house);
    }
    loop_.succeeded();
    co_await loop_.pause(std::min(kTick, context_.config.cleanup.interval));
  }
}

Task<void> Cleanup::run_once(store::Housekeeping& house) {
  co_await step("ensure_partitions", house.ensure_partitions());
  co_await step("publish_expiry", house.publish_expiry());
  co_await step("drop_partitions", drop(house));
  co_await step("dead_letters", dead_letters(house));
  co_await step("pause_failing", house.pause_failing());
  co_await step("idempotency_keys", idempotency_keys());
  co_await step("summarize_indexes", house.summarize_indexes());
  co_await step("export_gauges", house.export_gauges());
  const Mono now = context_.clock.mono();
  if (now - rare_at_ < kRareEvery) co_return;
  rare_at_ = now;
  co_await step("rare", rare(house));
}

// Only a lost session ends the round: one bad table must not keep the others dirty.
Task<void> Cleanup::step(std::string name, Task<void> work) {
  if (loop_.stopping()) co_return;
  try {
    co_await std::move(work);
  } catch (const pg::Error& error) {
    if (error.connection_lost) throw;
    context_.metrics.internal_error("cleanup");
    log::warn("a step of cleanup failed; trying again in the next round",
              {{"step", name}, {"error", error.what()}});
  }
}

Task<void> Cleanup::drop(store::Housekeeping& house) {
  const int dropped = co_await house.drop_partitions();
  context_.metrics.batch("dropped_partitions", static_cast<std::size_t>(dropped));
}

Task<void> Cleanup::dead_letters(store::Housekeeping& house) {
  const std::int64_t deleted = co_await house.delete_dead_letters();
  context_.metrics.batch("deleted_dead_letters", static_cast<std::size_t>(deleted));
}

Task<void> Cleanup::idempotency_keys() {
  store::Database::Lease lease = co_await context_.database.lease();
  co_await store::drop_expired_buckets(*lease, context_.database.lock_space(),
                                       context_.config.ingest.idempotency_ttl);
}

Task<void> Cleanup::rare(store::Housekeeping& house) {
  co_await house.forget_nodes();
  co_await house.delete_redelivery_attempts();
  co_await house.delete_refused();
}

}  // namespace

std::unique_ptr<store::Role> make_cleanup(store::Context& context) {
  return std::make_unique<Cleanup>(context);
}

}  // namespace eventhub
