#pragma once
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace eventhub {

// Prometheus' text format 0.0.4. Ten times as fast as the library's own, which would hold up the
// event loop.
std::string to_text(const std::vector<prometheus::MetricFamily>& families);

}  // namespace eventhub
