// Numbers of a run from its logs and clocks, as a table for people; report_json.cpp writes the
// file.
#include "bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "bench/records.hpp"

namespace eventhub::bench {
namespace {

constexpr double kMilli = 1e6;
constexpr double kMicro = 1e3;
constexpr double kMiB = 1 << 20;

struct Times {
  std::vector<std::int64_t> late, accept, end_to_end;
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_answer = 0, last_receipt = 0;
};

Times times_of(const Logs& logs, const Shape& shape, std::uint8_t part) {
  Times times;
  std::unordered_map<std::uint64_t, std::int64_t> intended;
  for (const Post& post : logs.posts) {
    if (post.part != part || !post.accepted()) continue;
    intended.emplace(post.number, post.intended);
    times.late.push_back(post.sent - post.intended);
    times.accept.push_back(post.answered - post.intended);
    times.first = std::min(times.first, post.intended);
    times.last_answer = std::max(times.last_answer, post.answered);
  }
  for (const Receipt& receipt : logs.receipts) {
    const auto found = intended.find(receipt.number);
    if (found == intended.end() || shape.bystander(receipt.subscriber)) continue;
    times.end_to_end.push_back(receipt.received - found->second);
    times.last_receipt = std::max(times.last_receipt, receipt.received);
  }
  return times;
}

std::string milliseconds(const char* name, const Percentiles& p) {
  return fmt::format("{:<28}{:>10.2f}{:>10.2f}{:>10.2f}\n", name, p.p50, p.p99, p.max);
}

std::string number(const char* name, double value, const char* unit) {
  return fmt::format("{:<28}{:>10.1f} {}\n", name, value, unit);
}

std::string cpu(const char* name, double us_per_event, double cores) {
  return fmt::format("{:<28}{:>10.1f} us/event {:>8.2f} % of a CPU\n", name, us_per_event,
                     100 * cores);
}

}  // namespace

Percentiles percentiles(std::vector<std::int64_t> nanoseconds) {
  if (nanoseconds.empty()) return {};
  std::ranges::sort(nanoseconds);
  const auto at = [&](double share) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(nanoseconds.size()));
    return static_cast<double>(nanoseconds[std::min(rank, nanoseconds.size() - 1)]) / kMilli;
  };
  return {at(0.5), at(0.99), at(1)};
}

Report make_report(const Logs& logs, const Shape& shape, const Verdict& verdict,
                   const Measured& measured, std::uint8_t part) {
  Report report;
  report.verdict = verdict;
  report.measured = measured;
  if (measured.wall > 0) {
    const auto cores = [&](std::int64_t cpu) {
      return static_cast<double>(cpu) / static_cast<double>(measured.wall);
    };
    report.hub_cores = cores(measured.hub_cpu);
    report.postgres_cores = cores(measured.postgres_cpu);
    report.other_cores = cores(measured.other_cpu);
  }
  Times times = times_of(logs, shape, part);
  report.events = times.accept.size();
  report.deliveries = times.end_to_end.size();
  if (report.events == 0) return report;
  const auto events = static_cast<double>(report.events);
  const auto seconds = [&](std::int64_t until) {
    return std::max(1.0, static_cast<double>(until - times.first)) / kSecond;
  };
  report.events_per_second = events / seconds(times.last_answer);
  report.deliveries_per_second =
      static_cast<double>(report.deliveries) / seconds(times.last_receipt);
  report.received_after =
      std::max(0.0, static_cast<double>(times.last_receipt - times.last_answer) / kSecond);
  report.late = percentiles(std::move(times.late));
  report.accept = percentiles(std::move(times.accept));
  report.end_to_end = percentiles(std::move(times.end_to_end));
  const auto per_event = [&](std::int64_t value) { return static_cast<double>(value) / events; };
  report.hub_us = per_event(measured.hub_cpu) / kMicro;
  report.postgres_us = per_event(measured.postgres_cpu) / kMicro;
  report.producer_us = per_event(measured.producer_cpu) / kMicro;
  report.sink_us = per_event(measured.sink_cpu) / kMicro;
  report.wal_bytes = per_event(measured.database.wal_bytes);
  report.commits = per_event(measured.database.writing_transactions);
  report.transactions = per_event(measured.database.transactions);
  return report;
}

std::string verdict_text(const Verdict& verdict) {
  std::string text = fmt::format(
      "posted {}, accepted {}; answered 4xx {}, 5xx {}, not answered {}\n"
      "deliveries {} of {} expected\n",
      verdict.posted, verdict.accepted, verdict.refused, verdict.failed, verdict.unanswered,
      verdict.deliveries, verdict.expected);
  for (std::size_t i = 0; i < kFaults; ++i) {
    text += fmt::format("{}{} {}", i > 0 ? ", " : "", to_string(static_cast<Fault>(i)),
                        verdict.faults[i]);
  }
  text += '\n';
  for (const std::string& example : verdict.examples) text += "  " + example + "\n";
  if (verdict.idle && verdict.tested()) text += "Nothing was to be posted.\n";
  if (!verdict.tested()) {
    text += "This run tested nothing: less than half of the events were accepted.\n";
  } else {
    text += verdict.clean() ? "PASS\n" : "FAIL\n";
  }
  return text;
}

std::string table(const Report& report) {
  std::string text;
  if (report.events > 0) {
    text += number("accepted", report.events_per_second, "events/s");
    text += number("delivered", report.deliveries_per_second, "webhooks/s");
    text += fmt::format("{:<28}{:>10}{:>10}{:>10}\n", "latency in ms", "p50", "p99", "max");
    text += milliseconds("  until the 202", report.accept);
    text += milliseconds("  until the receiver", report.end_to_end);
    text += milliseconds("  producer late by", report.late);
  }
  text += cpu("CPU: eventhubd", report.hub_us, report.hub_cores);
  text += cpu("CPU: PostgreSQL", report.postgres_us, report.postgres_cores);
  text += number("CPU: producer", report.producer_us, "us/event");
  text += number("CPU: receiver", report.sink_us, "us/event");
  text += fmt::format("{:<28}{:>10.2f} CPUs\n", "CPU: everything else", report.other_cores);
  text += number("memory: eventhubd, at most",
                 static_cast<double>(report.measured.hub_peak_memory) / kMiB, "MiB");
  if (report.events == 0) return text;
  text += number("WAL", report.wal_bytes, "bytes/event");
  text += fmt::format("{:<28}{:>10.3f} per event ({:.3f} with those that only read)\n", "commits",
                      report.commits, report.transactions);
  text += fmt::format("{:<28}{:>10.3f} s after the last 202; results committed after {:.3f} s\n",
                      "last webhook", report.received_after,
                      static_cast<double>(report.measured.committed_after) / kSecond);
  if (report.baseline) text += baseline_text(*report.baseline, report.events_per_second);
  return text;
}

std::vector<Ratio> ratios(const Report& undisturbed, const Report& disturbed) {
  std::vector<Ratio> all;
  const auto add = [&](const char* name, const char* text, const auto& get) {
    all.push_back({name, text, get(undisturbed), get(disturbed)});
  };
  add("events_per_second", "accepted, events/s",
      [](const Report& r) { return r.events_per_second; });
  add("webhooks_per_second", "delivered, webhooks/s",
      [](const Report& r) { return r.deliveries_per_second; });
  add("accept_p99_ms", "until the 202, p99 ms", [](const Report& r) { return r.accept.p99; });
  add("end_to_end_p50_ms", "until the receiver, p50 ms",
      [](const Report& r) { return r.end_to_end.p50; });
  add("end_to_end_p99_ms", "until the receiver, p99 ms",
      [](const Report& r) { return r.end_to_end.p99; });
  add("hub_us_per_event", "eventhubd, us/event", [](const Report& r) { return r.hub_us; });
  add("postgresql_us_per_event", "PostgreSQL, us/event",
      [](const Report& r) { return r.postgres_us; });
  add("wal_bytes_per_event", "WAL, bytes/event", [](const Report& r) { return r.wal_bytes; });
  add("hub_peak_rss_mib", "eventhubd at most, MiB",
      [](const Report& r) { return static_cast<double>(r.measured.hub_peak_memory) / kMiB; });
  // Halves of which one had less of the machine cannot be compared.
  add("other_cpus", "everything else, CPUs", [](const Report& r) { return r.other_cores; });
  return all;
}

std::string table(const std::vector<Ratio>& ratios) {
  std::string text =
      fmt::format("{:<28}{:>13}{:>13}{:>10}\n", "comparison", "undisturbed", "disturbed", "ratio");
  for (const Ratio& row : ratios) {
    text += fmt::format("{:<28}{:>13.2f}{:>13.2f}{:>10.2f}\n", "  " + std::string(row.text),
                        row.before, row.during, row.ratio());
  }
  return text;
}

}  // namespace eventhub::bench
