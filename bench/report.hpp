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
  std::int64_t other_cpu = 0;        // what else the machine did
  std::int64_t wall = 0;             // ns, the drain included
  std::int64_t hub_peak_memory = 0;  // bytes resident, the largest of the hub's processes
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
  // Mean CPUs busy: with an idle hub this is all there is
  double hub_cores = 0, postgres_cores = 0, other_cores = 0;
  std::optional<Baseline> baseline;
};
// `part` of the run: what its posts say.
Report make_report(const Logs& logs, const Shape& shape, const Verdict& verdict,
                   const Measured& measured, std::uint8_t part);

// What a disturbed half is compared with.
struct Comparison {
  Report undisturbed;
  double prepared_seconds = 0;  // how long it took to set up what disturbs
};
struct Ratio {
  const char* name;       // in JSON
  const char* text;       // for people
  double before, during;  // undisturbed, disturbed
  double ratio() const { return before > 0 ? during / before : 0; }
};
std::vector<Ratio> ratios(const Report& undisturbed, const Report& disturbed);

std::string verdict_text(const Verdict& verdict);
std::string table(const Report& report);
std::string table(const std::vector<Ratio>& ratios);
// Without a comparison `report` is the run; with one it is the disturbed half.
std::string json(const Options& options, const Report& report, const Comparison* comparison);

}  // namespace eventhub::bench
