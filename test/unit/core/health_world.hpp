#pragma once
// The table subscriber_health as store/subscriber_health.cpp writes it, one row, for tests of
// Health and of Lanes.
#include <optional>

#include "eventhub/core/health.hpp"

namespace eventhub::test {

class HealthTable {
 public:
  void write(const HealthReport& report, int node, Mono now) {
    if (report.succeeded) failing_since.reset();
    if (report.failed && !failing_since) failing_since = now;
    if (report.wish == CircuitWish::open && circuit == Circuit::closed && !spent) {
      circuit = Circuit::open;
      opened = now;
      until = now + report.open;
    } else if (report.wish == CircuitWish::probe && circuit != Circuit::closed && until <= now) {
      circuit = Circuit::half_open;
      prober = node;
      until = now + report.probe;
    } else if (report.wish == CircuitWish::reopen && circuit == Circuit::half_open &&
               prober == node) {
      circuit = Circuit::open;
      prober = -1;
      until = now + report.open;
    } else if (report.wish == CircuitWish::close || report.wish == CircuitWish::give_up) {
      spent = report.wish == CircuitWish::give_up && (spent || circuit != Circuit::closed);
      circuit = Circuit::closed;
      prober = -1;
    }
  }

  std::optional<HealthSeen> row(std::int32_t sid, int node) const {
    if (circuit == Circuit::closed && !spent && !failing_since) return std::nullopt;
    return HealthSeen{sid,  failing_since.has_value(), circuit, spent, prober == node, opened,
                      until};
  }

  Circuit circuit = Circuit::closed;
  bool spent = false;
  int prober = -1;
  std::optional<Mono> failing_since;
  Mono opened{}, until{};
};

}  // namespace eventhub::test
