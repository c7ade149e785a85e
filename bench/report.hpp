#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/baseline.hpp"
#include "bench/checker.hpp"
#include "bench/hub_database.hpp"
#include "bench/options.hpp"

namespace eventhub::bench {

// What was measured between the two readings of all clocks.
struct Measured {
  std::int64_t hub_cpu = 0, postgres_cpu = 0, producer_cpu = 0, sink_cpu = 0;  // ns
  std::int64_t other_cpu = 0;  // what else the machine did
  std::int64_t wall = 0;       // ns, the drain included
  HubDatabase::Counters database;
  std::int64_t committed_after = 0;  // ns from the last answer until every result was in a table
  std::vector<std::pair<std::string, std::string>> settings;
};

struct Percentiles {
  double p50 = 0, p99 = 0, max = 0;  // ms
};
Percentiles percentiles(std::vector<std::int64_t> nanoseconds);

struct Report {
  Verdict verdict;
  Measured measured;
  std::uint64_t events = 0, deliveries = 0;  // after the warm-up
  double events_per_second = 0, deliveries_per_second = 0;
  double received_after = 0;  // s from the last 202 to the last webhook
  Percentiles late;           // how late the producer itself sent
  Percentiles accept;         // intended send to 202
  Percentiles end_to_end;     // intended send to the receiver
  // What is given per event
  double hub_us = 0, postgres_us = 0, producer_us = 0, sink_us = 0;
  double wal_bytes = 0, commits = 0, transactions = 0;
  double other_cores = 0;  // mean CPUs busy with something else
  std::optional<Baseline> baseline;
};
Report make_report(const Logs& logs, const Verdict& verdict, const Measured& measured);

std::string verdict_text(const Verdict& verdict);
std::string table(const Report& report);
std::string json(const Options& options, const Report& report);

}  // namespace eventhub::bench
