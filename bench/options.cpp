// The scenarios and the command line.
#include "bench/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "bench/breaks.hpp"

namespace eventhub::bench {
namespace {

// What a scenario sets; every option can still be given after its name.
struct Scenario {
  const char* about;
  double rate = 200, seconds = 60, warmup = 2, fanout = 2.5;
  bool closed = false;
  Order order = Order::none;
  std::uint32_t keys = 100;
  int sink_delay_ms = 0;
};

const std::map<std::string, Scenario>& scenarios() {
  static const std::map<std::string, Scenario> table{
      {"steady", {"200 events/s to 2.5 subscribers each, for a minute"}},
      {"closed",
       {"64 connections, each posts when it is answered", 0, 20, 2, 2.5, true, Order::none, 1000}},
      {"fanout10", {"100 events/s to 10 subscribers each", 100, 30, 2, 10}},
      {"fanout1000", {"2 events/s to 1000 subscribers each", 2, 20, 2, 1000}},
      {"ordered",
       {"ordered subscribers, few keys, a receiver that takes 5 ms", 200, 30, 2, 2.5, false,
        Order::all, 50, 5}},
      {"quick",
       {"10 s, every second subscriber ordered", 200, 10, 1, 2.5, false, Order::half, 50, 1}},
  };
  return table;
}

std::string scenario_help() {
  std::string text = "Scenarios:";
  for (const auto& [name, scenario] : scenarios()) {
    text += "\n  " + name + std::string(12 - name.size(), ' ') + scenario.about;
  }
  return text;
}

// What CLI11 fills in before it is made into Options.
struct Raw {
  Scenario set;
  std::string order, broken, check_only;
  bool ordered = false;
  int port = 0;
};

void add_load(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--rate", raw.set.rate, "events per second, at constant intervals")
      ->check(CLI::PositiveNumber);
  app.add_flag("--closed", raw.set.closed, "post as fast as the answers come, instead of --rate");
  app.add_option("--duration", raw.set.seconds, "seconds")->check(CLI::PositiveNumber);
  app.add_option("--warmup", raw.set.warmup, "seconds of load before the clocks start")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--connections", options.load.connections, "of the producer")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--bytes", options.shape.payload_bytes, "of a payload")
      ->check(CLI::Range(64, 1 << 20))
      ->capture_default_str();
  app.add_option("--keys", raw.set.keys, "different ordering keys; 0: events without one");
  app.add_flag("--idempotency", options.load.idempotency, "an idempotency key for every event");
  app.add_option("--fanout", raw.set.fanout, "subscribers per event: a whole number or a half");
  app.add_option("--order", raw.order, "which subscribers are ordered: none, half, all");
  app.add_flag("--ordered", raw.ordered, "the same as --order all");
  app.add_flag("--at-most-once", options.shape.at_most_once, "subscribers want at most once");
  app.add_option("--sink-delay-ms", raw.set.sink_delay_ms, "the receiver waits before it answers")
      ->check(CLI::Range(0, 60'000));
  app.add_option("--origins", options.origins, "ports of the receiver")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
}

void add_place(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--port", raw.port, "the hub's")->check(CLI::Range(1, 65'535));
  app.add_option("--database", options.database, "libpq connection string of the hub's database");
  app.add_option("--hub-pid", options.hub_pids, "processes whose CPU time is the hub's");
  app.add_option("--logs", options.logs, "directory for the logs of producer and receiver");
  app.add_option("--json", options.json, "write the result to this file");
  app.add_option("--drain-timeout", options.drain_seconds_max,
                 "seconds without progress until what is missing counts as lost")
      ->capture_default_str();
  app.add_option("--break", raw.broken,
                 "spoil one record before the check, which must fail then: lost, duplicate, order, "
                 "overlap, unknown, altered");
  app.add_flag("--baseline", options.baseline,
               "then the same work as raw PostgreSQL batches and as bare HTTP, without the hub");
  app.add_option("--baseline-batch", options.baseline_batch,
                 "events per batch of --baseline, instead of what the hub's run achieved")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--check-only", raw.check_only, "judge the logs in this directory; runs nothing");
}

void finish(Options& options, const Raw& raw) {
  const auto with_fanout = shape_with_fanout(raw.set.fanout);
  options.shape.kinds = with_fanout.kinds;
  options.shape.order = raw.set.order;
  if (!raw.order.empty()) options.shape.order = order_named(raw.order);
  if (raw.ordered) options.shape.order = Order::all;
  options.load.closed = raw.set.closed;
  options.load.rate = raw.set.rate;
  options.load.seconds = raw.set.seconds;
  options.load.keys = raw.set.keys;
  options.load.port = static_cast<std::uint16_t>(raw.port);
  options.warmup_seconds = raw.set.warmup;
  options.sink_delay = Millis{raw.set.sink_delay_ms};
  if (!raw.broken.empty()) options.break_log = fault_named(raw.broken);
  if (!raw.check_only.empty()) options.check_only = raw.check_only;
  if (options.check_only) return;
  if (options.load.port == 0 || options.database.empty()) {
    throw std::invalid_argument("--port and --database say where the hub is (see scripts/bench)");
  }
  if (options.load.closed && options.load.keys > 0 &&
      options.load.keys < options.load.connections) {
    throw std::invalid_argument("--closed needs as many --keys as --connections, or none");
  }
  if (options.shape.order != Order::none && options.load.keys == 0) {
    throw std::invalid_argument("ordered subscribers need --keys");
  }
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  Raw raw;
  if (argc > 1 && scenarios().contains(argv[1])) {
    options.scenario = argv[1];
    raw.set = scenarios().at(argv[1]);
  }
  for (int i = 0; i < argc; ++i) options.command += (i > 0 ? " " : "") + std::string(argv[i]);
  CLI::App app{"Loads a hub over HTTP, receives its webhooks and judges both logs."};
  app.footer(scenario_help());
  app.add_option("scenario", options.scenario, "one of those below, first");
  add_load(app, options, raw);
  add_place(app, options, raw);
  try {
    app.parse(argc, argv);
    if (!options.scenario.empty() && !scenarios().contains(argv[1])) {
      throw CLI::ValidationError("scenario", "unknown, or not the first argument");
    }
    finish(options, raw);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
  return options;
}

}  // namespace eventhub::bench
