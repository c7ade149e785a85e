// The dispatcher role: builds the parts, starts the loops, drains. See worker.hpp for who does
// what.
#include "worker.hpp"

#include <algorithm>
#include <random>

#include "eventhub/core/log.hpp"
#include "eventhub/dispatcher/dispatcher.hpp"

namespace eventhub::dispatcher {
namespace {

constexpr Seconds kObserveMin{2}, kObserveMax{15};  // between two looks for the gauges

LanesConfig lanes_config(const Config& config) {
  LanesConfig lanes;
  lanes.queue_rows_max = config.dispatcher.queue_rows_max;
  lanes.in_flight_max = config.dispatcher.in_flight_max;
  lanes.dlq_copy_max = config.cleanup.dlq_copy_max;
  lanes.result_linger = config.dispatcher.result_linger;
  lanes.park_after = config.dispatcher.park_after;
  lanes.takeover_extra = config.dispatcher.send_lease + config.dispatcher.takeover_margin;
  lanes.default_timeout = config.webhook.timeout;
  lanes.circuit_hold_max = config.webhook.circuit_hold_max;
  return lanes;
}

http::ClientOptions client_options(const Config& config) {
  http::ClientOptions client;
  client.own = http::listeners(config.server);
  return client;
}

}  // namespace

Worker::Worker(store::Context& context)
    : context_(context),
      payloads_(context),
      ownership_(context),
      writer_(context),
      health_(context),
      client_(context.executor, context.config.webhook, context.config.egress, ownership_.clock(),
              context.metrics, client_options(context.config)),
      lanes_(lanes_config(context.config), ownership_.clock()),
      work_(context.executor),
      ready_(context.executor),
      health_due_(context.executor) {}

Task<void> Worker::run() {
  spawn(context_.executor, "payloads", payloads_.run());
  spawn(context_.executor, "feed", feed_loop());
  spawn(context_.executor, "send", pump_loop());
  spawn(context_.executor, "control", control_loop());
  spawn(context_.executor, "health", health_loop());
  co_await own_loop();
  stopped_ = true;
  payloads_.stop();
  client_.close();
  ready_.set();
  health_due_.set();
  // The loops look at stopped_ within their next wait; what they refer to must outlive that.
  while (in_flight_ > 0 || loops_ > 0) co_await sleep_for(Millis{5});
}

void Worker::stop() {
  stopping_ = true;
  // A little before the process gives up, so that the shards are handed over all the same.
  const Millis limit = context_.config.drain_timeout;
  drain_until_ = context_.clock.mono() + limit - std::min(limit / 4, Millis{1'000});
  balance_due_ = {};
  lanes_.begin_drain();
  work_.set();
}

// Gauges: a walk over the records in memory. With a hundred thousand of them it holds everything
// else up for some milliseconds, so then it is rare.
void Worker::observe() {
  const Mono now = context_.clock.mono();
  if (now < observe_due_) return;
  const LanesCounts counts = lanes_.counts();
  const Mono::duration took = context_.clock.mono() - now;
  observe_due_ = now + std::clamp<Mono::duration>(2'000 * took, kObserveMin, kObserveMax);
  Metrics& metrics = context_.metrics;
  metrics.in_flight(static_cast<double>(counts.in_flight));
  metrics.blocked_keys(static_cast<double>(counts.blocked_keys));
  metrics.owned_shards(static_cast<double>(ownership_.owned().size()));
  metrics.queue_bytes("payload_cache", static_cast<double>(payloads_.bytes()));
  const Millis age = counts.oldest_age.value_or(Millis{0});
  metrics.oldest_pending_age(static_cast<double>(age.count()) / 1000);
  for (int reason = 1; reason <= 10; ++reason) {
    metrics.waiting(static_cast<WaitReason>(reason), 0);
  }
  for (const auto& [reason, messages] : counts.waiting) {
    metrics.waiting(reason, static_cast<double>(messages));
  }
  std::set<Uuid> seen;
  for (const auto& [id, messages] : counts.pending) {
    metrics.pending(to_string(id), static_cast<double>(messages));
    seen.insert(id);
  }
  for (const Uuid& id : pending_seen_) {
    if (!seen.contains(id)) metrics.pending(to_string(id), 0);
  }
  pending_seen_ = std::move(seen);
  observe_circuits(counts);
}

}  // namespace eventhub::dispatcher

namespace eventhub {

std::unique_ptr<store::Role> make_dispatcher(store::Context& context) {
  return std::make_unique<dispatcher::Worker>(context);
}

}  // namespace eventhub
