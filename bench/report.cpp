// Numbers of a run from its logs and clocks, as a table for people; report_json.cpp writes the
// file.
#include "bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace eventhub::bench {
namespace {

constexpr double kSecond = 1e9;
constexpr double kMilli = 1e6;
constexpr double kMicro = 1e3;

struct Times {
  std::vector<std::int64_t> late, accept, end_to_end;
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_answer = 0, last_receipt = 0;
};

Times times_of(const Logs& logs) {
  Times times;
  std::unordered_map<std::uint64_t, std::int64_t> intended;
  for (const Post& post : logs.posts) {
    if (!post.measured || !post.accepted()) continue;
    intended.emplace(post.number, post.intended);
    times.late.push_back(post.sent - post.intended);
    times.accept.push_back(post.answered - post.intended);
    times.first = std::min(times.first, post.intended);
    times.last_answer = std::max(times.last_answer, post.answered);
  }
  for (const Receipt& receipt : logs.receipts) {
    const auto found = intended.find(receipt.number);
    if (found == intended.end()) continue;
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

Report make_report(const Logs& logs, const Verdict& verdict, const Measured& measured) {
  Report report;
  report.verdict = verdict;
  report.measured = measured;
  Times times = times_of(logs);
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
  if (measured.wall > 0) {
    report.other_cores =
        static_cast<double>(measured.other_cpu) / static_cast<double>(measured.wall);
  }
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
  if (!verdict.tested()) {
    text += "This run tested nothing: less than half of the events were accepted.\n";
  } else {
    text += verdict.clean() ? "PASS\n" : "FAIL\n";
  }
  return text;
}

std::string table(const Report& report) {
  std::string text;
  text += number("accepted", report.events_per_second, "events/s");
  text += number("delivered", report.deliveries_per_second, "webhooks/s");
  text += fmt::format("{:<28}{:>10}{:>10}{:>10}\n", "latency in ms", "p50", "p99", "max");
  text += milliseconds("  until the 202", report.accept);
  text += milliseconds("  until the receiver", report.end_to_end);
  text += milliseconds("  producer late by", report.late);
  text += number("CPU: eventhubd", report.hub_us, "us/event");
  text += number("CPU: PostgreSQL", report.postgres_us, "us/event");
  text += number("CPU: producer", report.producer_us, "us/event");
  text += number("CPU: receiver", report.sink_us, "us/event");
  text += fmt::format("{:<28}{:>10.2f} CPUs\n", "CPU: everything else", report.other_cores);
  text += number("WAL", report.wal_bytes, "bytes/event");
  text += fmt::format("{:<28}{:>10.3f} per event ({:.3f} with those that only read)\n", "commits",
                      report.commits, report.transactions);
  text += fmt::format("{:<28}{:>10.3f} s after the last 202; results committed after {:.3f} s\n",
                      "last webhook", report.received_after,
                      static_cast<double>(report.measured.committed_after) / kSecond);
  if (report.baseline) text += baseline_text(*report.baseline, report.events_per_second);
  return text;
}

}  // namespace eventhub::bench
