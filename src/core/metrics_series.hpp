#pragma once
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

// Series found by label value without building label maps, and with a cap on their number. Only
// metrics.cpp includes this.
namespace eventhub {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;
template <class T>
using Family = prometheus::Family<T>;

inline constexpr const char* kOther = "other";

struct TextHash : std::hash<std::string_view> {
  using is_transparent = void;
};

// Series by label value; the first `max` values have their own, all others share one.
template <class V>
class Capped {
 public:
  explicit Capped(std::size_t max) : max_(max) {}

  // `make` builds the series of a label value on first use.
  template <class Make>
  V& of(std::string_view value, const Make& make) {
    const auto found = series_.find(value);
    if (found != series_.end()) return found->second;
    if (series_.size() < max_) {
      const std::string name(value);
      return series_.emplace(name, make(name)).first->second;
    }
    if (!other_) other_ = make(kOther);
    return *other_;
  }
  bool is_other(const V& series) const { return other_ && &*other_ == &series; }

 private:
  std::size_t max_;
  std::unordered_map<std::string, V, TextHash, std::equal_to<>> series_;
  std::optional<V> other_;
};

// The series of a family with one label.
template <class T>
class Labelled {
 public:
  Labelled(Family<T>& family, const char* label, std::size_t max, Buckets buckets = {})
      : family_(family), label_(label), buckets_(std::move(buckets)), series_(max) {}

  T& of(std::string_view value) {
    return *series_.of(value, [this](const std::string& name) {
      if constexpr (std::is_same_v<T, Histogram>) {
        return &family_.Add({{label_, name}}, buckets_);
      } else {
        return &family_.Add({{label_, name}});
      }
    });
  }

 private:
  Family<T>& family_;
  const char* label_;
  Buckets buckets_;
  Capped<T*> series_;
};

// Registers families; the base of Metrics::Impl, so that its members can be made from them.
struct MetricsRegistry {
  prometheus::Registry registry;
  std::vector<prometheus::MetricFamily> declared;  // without series, which the registry leaves out

  Family<Counter>& counters(const char* name, const char* help) {
    declare(name, help, prometheus::MetricType::Counter);
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& gauges(const char* name, const char* help) {
    declare(name, help, prometheus::MetricType::Gauge);
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& histograms(const char* name, const char* help) {
    declare(name, help, prometheus::MetricType::Histogram);
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  void declare(const char* name, const char* help, prometheus::MetricType type) {
    declared.push_back({name, help, type, {}});
  }
  Counter& counter(const char* name, const char* help) { return counters(name, help).Add({}); }
  Gauge& gauge(const char* name, const char* help) { return gauges(name, help).Add({}); }
};

}  // namespace eventhub
