// How long the two baselines run, with what, and how the hub's run compares with them.
#include "bench/baseline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/options.hpp"

namespace eventhub::bench {
namespace {

constexpr double kSecondsMax = 5;  // of each; longer does not make the numbers better
constexpr double kBatchMax = 10'000;

double percent(double hub, double limit) {
  return limit > 0 ? 100 * hub / limit : 0;
}

}  // namespace

double events_per_second(const RawPostgres& raw) {
  return raw.seconds > 0 ? static_cast<double>(raw.events) / raw.seconds : 0;
}

double events_per_second(const BareHttp& bare) {
  if (bare.seconds <= 0 || bare.requests_per_event <= 0) return 0;
  return static_cast<double>(bare.requests) / bare.requests_per_event / bare.seconds;
}

double mean_fanout(const Shape& shape) {
  double sum = 0;
  for (const Shape::Range& kind : shape.kinds) sum += kind.count;
  return shape.kinds.empty() ? 0 : sum / static_cast<double>(shape.kinds.size());
}

std::uint32_t batch_of(double commits_per_event) {
  if (commits_per_event <= 0) return 1;
  const double batch = std::round(kCommitsPerBatch / commits_per_event);
  return static_cast<std::uint32_t>(std::clamp(batch, 1.0, kBatchMax));
}

Baseline measure_baseline(const Options& options, double commits_per_event) {
  const double seconds = std::min(options.load.seconds, kSecondsMax);
  const std::uint32_t batch =
      options.baseline_batch > 0 ? options.baseline_batch : batch_of(commits_per_event);
  fmt::print("baseline: raw PostgreSQL and bare HTTP, {:.3g} s each\n", seconds);
  Baseline baseline;
  baseline.postgres =
      raw_postgres({options.database, options.shape, options.load.keys, batch, seconds});
  baseline.http = bare_http({options.shape, options.load.keys, options.load.connections, seconds});
  return baseline;
}

std::string baseline_text(const Baseline& baseline, double hub_events_per_second) {
  const auto line = [](const char* name, double value, const std::string& unit) {
    return fmt::format("{:<28}{:>10.1f} {}\n", name, value, unit);
  };
  const RawPostgres& raw = baseline.postgres;
  const BareHttp& bare = baseline.http;
  std::string text;
  text += line("raw PostgreSQL", events_per_second(raw),
               fmt::format("events/s (one connection, {} events per batch of {} commits)",
                           raw.batch, kCommitsPerBatch));
  text += line("  CPU: PostgreSQL", raw.postgres_us, "us/event");
  text += line("  CPU: client", raw.client_us, "us/event");
  text += line("bare HTTP", events_per_second(bare),
               fmt::format("events/s ({} requests per event)", bare.requests_per_event));
  text += line("  CPU: producer", bare.producer_us, "us/event");
  text += line("  CPU: receiver", bare.receiver_us, "us/event");
  text += fmt::format("hub reaches {:.1f} % of raw PostgreSQL, {:.1f} % of bare HTTP\n",
                      percent(hub_events_per_second, events_per_second(raw)),
                      percent(hub_events_per_second, events_per_second(bare)));
  return text;
}

std::string baseline_json(const Baseline& baseline, double hub_events_per_second) {
  const RawPostgres& raw = baseline.postgres;
  const BareHttp& bare = baseline.http;
  return fmt::format(
      R"({{"postgresql": {{"batch": {}, "commits_per_event": {:.4g}, "events": {}, )"
      R"("seconds": {:.4g}, "events_per_second": {:.4g}, "postgresql_us_per_event": {:.4g}, )"
      R"("client_us_per_event": {:.4g}}}, "http": {{"requests_per_event": {:.4g}, )"
      R"("requests": {}, "seconds": {:.4g}, "events_per_second": {:.4g}, )"
      R"("producer_us_per_event": {:.4g}, "receiver_us_per_event": {:.4g}}}, )"
      R"("hub_percent_of_postgresql": {:.4g}, "hub_percent_of_http": {:.4g}}})",
      raw.batch, static_cast<double>(kCommitsPerBatch) / std::max(raw.batch, 1U), raw.events,
      raw.seconds, events_per_second(raw), raw.postgres_us, raw.client_us, bare.requests_per_event,
      bare.requests, bare.seconds, events_per_second(bare), bare.producer_us, bare.receiver_us,
      percent(hub_events_per_second, events_per_second(raw)),
      percent(hub_events_per_second, events_per_second(bare)));
}

}  // namespace eventhub::bench
