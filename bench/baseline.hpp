#pragma once
#include <cstdint>
#include <string>

#include "bench/shape.hpp"

// What the machine gives without a hub: the writes that a run needs as raw batches, and its HTTP
// messages from one process to another. The run is set against both.
namespace eventhub::bench {

struct Options;

// Each event is written three times, each time by a commit: accepted, fanned out, and its results.
inline constexpr int kCommitsPerBatch = 3;

struct RawPostgres {
  std::uint32_t batch = 0;  // events
  std::uint64_t events = 0;
  double seconds = 0;
  double postgres_us = 0;  // CPU per event
  double client_us = 0;    // … of the one connection's other end
};

struct BareHttp {
  double requests_per_event = 0;
  std::uint64_t requests = 0;
  double seconds = 0;
  double producer_us = 0, receiver_us = 0;  // CPU per event
};

struct Baseline {
  RawPostgres postgres;
  BareHttp http;
};

// 0 when nothing was done.
double events_per_second(const RawPostgres& raw);
double events_per_second(const BareHttp& bare);

// Subscribers per event, on the average.
double mean_fanout(const Shape& shape);
// The batch with which three commits per batch are as many commits per event.
std::uint32_t batch_of(double commits_per_event);

struct RawPlan {
  std::string database;  // libpq connection string
  Shape shape;
  std::uint32_t keys = 0;   // 0: events without a key
  std::uint32_t batch = 0;  // events
  double seconds = 0;
};
// One connection writes events, messages and results of `shape` into copies of the hub's tables in
// a schema of its own, which is gone afterwards. Throws std::runtime_error.
RawPostgres raw_postgres(const RawPlan& plan);

struct HttpPlan {
  Shape shape;
  std::uint32_t keys = 0, connections = 0;
  double seconds = 0;
};
// A producer sends events and their webhooks to a receiver that takes both. Throws
// std::runtime_error.
BareHttp bare_http(const HttpPlan& plan);

// Both, after a run that needed so many commits per event. The hub should have nothing to do.
Baseline measure_baseline(const Options& options, double commits_per_event);

std::string baseline_text(const Baseline& baseline, double hub_events_per_second);
std::string baseline_json(const Baseline& baseline, double hub_events_per_second);

}  // namespace eventhub::bench
