// What is known of receivers that fail goes to the table subscriber_health and comes back from it,
// every second while there is anything, and at once when a circuit changes. Lanes acts on it.
#include "eventhub/core/log.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {
namespace {

constexpr Millis kExchangeEvery{1'000};

}  // namespace

Task<void> Worker::health_loop() {
  ++loops_;
  while (!stopped_) {
    co_await health_due_.wait(kExchangeEvery);
    if (!stopped_ && ownership_.connected()) co_await exchange_health();
  }
  --loops_;
}

Task<void> Worker::exchange_health() {
  std::vector<HealthReport> reports = lanes_.health_reports();
  if (reports.empty() && !seen_.unhealthy && !unhealthy_known_) co_return;
  std::vector<HealthSeen> rows;
  try {
    rows = co_await health_.exchange(std::move(reports));
  } catch (const std::exception& error) {  // told again in a second
    log::warn("the health of receivers could not be told or read", {{"error", error.what()}});
    co_return;
  }
  unhealthy_known_ = !rows.empty();
  lanes_.set_health(rows);
  pump();
}

void Worker::observe_circuits(const LanesCounts& counts) {
  std::set<Uuid> seen;
  for (const auto& [id, circuit] : counts.circuits) {
    context_.metrics.circuit(to_string(id), circuit);
    seen.insert(id);
  }
  for (const Uuid& id : circuits_seen_) {
    if (!seen.contains(id)) context_.metrics.circuit(to_string(id), Circuit::closed);
  }
  circuits_seen_ = std::move(seen);
}

}  // namespace eventhub::dispatcher
