// The result of a run as one JSON object: the numbers, and what one has to know to compare them.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "bench/report.hpp"

namespace eventhub::bench {
namespace {

class Object {
 public:
  template <class Number>
  Object& add(std::string_view name, Number value) {
    return raw(name, fmt::format("{}", value));
  }
  Object& add(std::string_view name, double value) {
    return raw(name, fmt::format("{:.4g}", value));
  }
  Object& text(std::string_view name, std::string_view value) {
    std::string quoted = "\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return raw(name, quoted + "\"");
  }
  Object& raw(std::string_view name, std::string_view value) {
    text_ += fmt::format("{}\"{}\": {}", text_.empty() ? "" : ", ", name, value);
    return *this;
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string machine() {
  utsname name{};
  ::uname(&name);
  Object object;
  object.text("processor", processor()).text("kernel", name.release);
  object.add("cpus", ::sysconf(_SC_NPROCESSORS_ONLN));
  return object.str();
}

std::string of(const Percentiles& p) {
  return Object().add("p50", p.p50).add("p99", p.p99).add("max", p.max).str();
}

std::string of(const Verdict& verdict) {
  Object object;
  object.add("posted", verdict.posted).add("accepted", verdict.accepted);
  object.add("refused", verdict.refused).add("failed", verdict.failed);
  object.add("unanswered", verdict.unanswered);
  object.add("expected_deliveries", verdict.expected).add("deliveries", verdict.deliveries);
  for (std::size_t i = 0; i < kFaults; ++i) {
    object.add(to_string(static_cast<Fault>(i)), verdict.faults[i]);
  }
  return object.add("clean", verdict.clean()).str();
}

std::string load_of(const Options& options) {
  Object object;
  object.add("closed", options.load.closed).add("rate", options.load.rate);
  object.add("seconds", options.load.seconds).add("connections", options.load.connections);
  object.add("keys", options.load.keys).add("idempotency", options.load.idempotency);
  object.add("payload_bytes", options.shape.payload_bytes);
  object.add("subscribers", options.shape.subscribers());
  object.text("order", to_string(options.shape.order)).add("idle", options.shape.idle);
  object.add("at_most_once", options.shape.at_most_once);
  object.add("sink_delay_ms", options.sink_delay.count()).add("origins", options.origins);
  return object.str();
}

void add_numbers(Object& object, const Report& report) {
  const Measured& measured = report.measured;
  object.add("events", report.events).add("webhooks", report.deliveries);
  object.add("events_per_second", report.events_per_second);
  object.add("webhooks_per_second", report.deliveries_per_second);
  object.raw("accept_ms", of(report.accept)).raw("end_to_end_ms", of(report.end_to_end));
  object.raw("producer_late_ms", of(report.late));
  object.add("hub_us_per_event", report.hub_us);
  object.add("postgresql_us_per_event", report.postgres_us);
  object.add("producer_us_per_event", report.producer_us);
  object.add("receiver_us_per_event", report.sink_us);
  object.add("hub_cpu_percent", 100 * report.hub_cores);
  object.add("postgresql_cpu_percent", 100 * report.postgres_cores);
  object.add("other_cpus", report.other_cores);
  object.add("hub_peak_rss_mib", static_cast<double>(measured.hub_peak_memory) / (1 << 20));
  object.add("wal_bytes_per_event", report.wal_bytes).add("wal_bytes", measured.database.wal_bytes);
  object.add("commits_per_event", report.commits);
  object.add("transactions_per_event", report.transactions);
  object.add("last_webhook_after_s", report.received_after);
  object.add("committed_after_s", static_cast<double>(measured.committed_after) / 1e9);
  object.add("measured_s", static_cast<double>(measured.wall) / 1e9);
}

std::string of(const DisturbPlan& plan) {
  Object object;
  object.text("kind", to_string(plan.kind)).text("about", plan.describe());
  for (const char* name : {"rows", "partitions", "slow-ms"}) {
    if (!has_parameter(plan.kind, name)) continue;
    const std::string_view wanted = name;
    object.add(wanted, wanted == "rows"         ? plan.rows
                       : wanted == "partitions" ? std::int64_t{plan.partitions}
                                                : std::int64_t{plan.slow.count()});
  }
  return object.str();
}

std::string of(const std::vector<Ratio>& ratios) {
  Object object;
  for (const Ratio& row : ratios) {
    Object one;
    one.add("undisturbed", row.before).add("disturbed", row.during).add("ratio", row.ratio());
    object.raw(row.name, one.str());
  }
  return object.str();
}

}  // namespace

std::string json(const Options& options, const Report& report, const Comparison* comparison) {
  Object settings;
  for (const auto& [name, value] : report.measured.settings) settings.text(name, value);
  const char* commit = std::getenv("EVENTHUB_COMMIT");
  Object object;
  object.text("scenario", options.scenario).text("version", EVENTHUB_VERSION);
  object.text("commit", commit != nullptr ? commit : "").text("command", options.command);
  object.raw("machine", machine()).raw("postgresql", settings.str());
  object.raw("load", load_of(options)).raw("check", of(report.verdict));
  add_numbers(object, report);
  if (comparison != nullptr) {
    Object undisturbed;
    add_numbers(undisturbed, comparison->undisturbed);
    object.raw("disturb", of(options.disturb));
    object.add("prepared_s", comparison->prepared_seconds);
    object.raw("undisturbed", undisturbed.str());
    object.raw("comparison", of(ratios(comparison->undisturbed, report)));
  }
  if (report.baseline) {
    object.raw("baseline", baseline_json(*report.baseline, report.events_per_second));
  }
  return object.str() + "\n";
}

}  // namespace eventhub::bench
