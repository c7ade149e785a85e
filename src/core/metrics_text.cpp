// Writes collected families as text; called by Metrics::expose().
#include "core/metrics_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace eventhub {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void append_value(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);  // shortest that reads back the same
  }
}

void append_escaped(std::string& out, const std::string& text) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
}

// `name="value",…` without the braces.
std::string label_text(const ClientMetric& metric) {
  std::string out;
  for (const auto& label : metric.label) {
    if (!out.empty()) out += ',';
    out += label.name;
    out += "=\"";
    append_escaped(out, label.value);
    out += '"';
  }
  return out;
}

void append_sample(std::string& out, const std::string& name, const char* suffix,
                   const std::string& labels, double value) {
  out += name;
  out += suffix;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  append_value(out, value);
  out += '\n';
}

void append_histogram(std::string& out, const std::string& name, const ClientMetric& metric) {
  const std::string labels = label_text(metric);
  const auto& histogram = metric.histogram;
  const auto count = static_cast<double>(histogram.sample_count);
  for (const auto& bucket : histogram.bucket) {  // the last one is +Inf
    std::string with_bound = labels;
    with_bound += labels.empty() ? "le=\"" : ",le=\"";
    append_value(with_bound, bucket.upper_bound);
    with_bound += '"';
    append_sample(out, name, "_bucket", with_bound, static_cast<double>(bucket.cumulative_count));
  }
  append_sample(out, name, "_sum", labels, histogram.sample_sum);
  append_sample(out, name, "_count", labels, count);
}

const char* type_word(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    default:
      return "untyped";
  }
}

}  // namespace

std::string to_text(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& family : families) {
    const std::string& name = family.name;
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                   type_word(family.type));
    for (const ClientMetric& metric : family.metric) {
      if (family.type == MetricType::Histogram) {
        append_histogram(out, name, metric);
      } else {
        const bool counter = family.type == MetricType::Counter;
        append_sample(out, name, "", label_text(metric),
                      counter ? metric.counter.value : metric.gauge.value);
      }
    }
  }
  return out;
}

}  // namespace eventhub
