// The command line. A scenario file stands for options that are given before those typed.
#include "bench/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "bench/breaks.hpp"
#include "bench/scenarios.hpp"

namespace eventhub::bench {
namespace {

// Groups of options. Those of the first two can be in a scenario file.
constexpr const char* kLoad = "Load";
constexpr const char* kDisturb = "Disturbance";
constexpr const char* kPlace = "Place";

// What CLI11 fills in before it is made into Options.
struct Raw {
  double fanout = 2.5;
  std::string order = "none", disturb = "none", dead = "hangs", broken, check_only;
  bool ordered = false, list = false;
  int sink_delay_ms = 0, slow_ms = 5'000, port = 0;
  std::string show, scenarios = "bench/scenarios";
};

void add_load(CLI::App& app, Options& options, Raw& raw) {
  app.option_defaults()->group(kLoad)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--rate", options.load.rate,
                 "events per second, at constant intervals; 0: none, the hub is idle")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--closed", options.load.closed,
               "post as fast as the answers come, instead of --rate");
  app.add_option("--duration", options.load.seconds, "seconds")->check(CLI::PositiveNumber);
  app.add_option("--warmup", options.warmup_seconds, "seconds of load before the clocks start")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--connections", options.load.connections, "of the producer")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--bytes", options.shape.payload_bytes, "of a payload")
      ->check(CLI::Range(64, 1 << 20));
  app.add_option("--keys", options.load.keys, "different ordering keys; 0: events without one");
  app.add_flag("--idempotency", options.load.idempotency, "an idempotency key for every event");
  app.add_option("--fanout", raw.fanout, "subscribers per event: a whole number or a half");
  app.add_option("--order", raw.order, "which subscribers are ordered: none, half, all");
  app.add_flag("--ordered", raw.ordered, "the same as --order all");
  app.add_flag("--at-most-once", options.shape.at_most_once, "subscribers want at most once");
  app.add_option("--sink-delay-ms", raw.sink_delay_ms, "the receiver waits before it answers")
      ->check(CLI::Range(0, 60'000));
  app.add_option("--origins", options.origins, "ports of the receiver")
      ->check(CLI::Range(1, 1'000));
}

void add_disturbance(CLI::App& app, Options& options, Raw& raw) {
  app.option_defaults()->group(kDisturb);
  app.add_option("--disturb", raw.disturb,
                 "measure twice, the second time with: backlog, longtx, slowdead, blockedkey, "
                 "keys, growth");
  app.add_option("--rows", options.disturb.rows, "of the backlog, the key, the keys, the growth")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  app.add_option("--partitions", options.disturb.partitions, "that the growth fills")
      ->check(CLI::Range(2, 1'000));
  app.add_option("--slow-ms", raw.slow_ms, "what the slow subscriber takes")
      ->check(CLI::Range(1, 60'000));
  app.add_option("--dead", raw.dead, "how the dead subscriber is dead: hangs or refuses")
      ->check(CLI::IsMember({"hangs", "refuses"}));
}

void add_place(CLI::App& app, Options& options, Raw& raw) {
  app.option_defaults()->group(kPlace)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  app.add_option("--port", raw.port, "the hub's")->check(CLI::Range(1, 65'535));
  app.add_option("--database", options.database, "libpq connection string of the hub's database");
  app.add_option("--admin", options.admin,
                 "libpq connection string of somebody who may CHECKPOINT, before each half");
  app.add_option("--hub-pid", options.hub_pids, "processes whose CPU time and memory are the hub's")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
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
  app.add_flag("--list", raw.list, "print the scenarios");
  app.add_option("--show", raw.show, "print what scripts/bench does for the scenario")
      ->check(CLI::IsMember({"name", "hub", "restart"}));
  app.add_option("--scenarios", raw.scenarios, "directory of the scenarios")->capture_default_str();
}

// "--name=value" for each of a file's settings, when there is such an option in `group`.
void take_settings(const CLI::App& app, const Scenario& scenario, const std::string& prefix,
                   const Scenario::Settings& settings, const char* group,
                   std::vector<std::string>& arguments) {
  for (const auto& [key, value] : settings) {
    const bool kind = group == kDisturb && key == "kind";
    const std::string name = "--" + (kind ? "disturb" : key);
    const CLI::Option* option = app.get_option_no_throw(name);
    const bool hidden = group == kDisturb && key == "disturb";
    if (option == nullptr || option->get_group() != group || hidden) {
      throw std::invalid_argument(
          fmt::format("{}: unknown key \"{}{}\"", scenario.file, prefix, key));
    }
    arguments.push_back(name + "=" + value);
  }
}

std::vector<std::string> arguments_of(const CLI::App& app, const Scenario& scenario) {
  std::vector<std::string> arguments;
  take_settings(app, scenario, "", scenario.load, kLoad, arguments);
  take_settings(app, scenario, "disturb.", scenario.disturb, kDisturb, arguments);
  return arguments;
}

void finish_disturbance(const CLI::App& app, Options& options, const Raw& raw) {
  DisturbPlan& plan = options.disturb;
  plan.kind = disturb_named(raw.disturb);
  plan.slow = Millis{raw.slow_ms};
  plan.refuses = raw.dead == "refuses";
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_single_name();
    if (option->get_group() != kDisturb || option->count() == 0 || name == "disturb") continue;
    if (has_parameter(plan.kind, name)) continue;
    throw std::invalid_argument(
        fmt::format("--{} means nothing to the disturbance {}", name, to_string(plan.kind)));
  }
  if (has_parameter(plan.kind, "rows") && plan.rows == 0) {
    throw std::invalid_argument(fmt::format("the disturbance {} needs --rows", raw.disturb));
  }
  if (plan.kind == Disturb::blockedkey && !options.shape.ordered(0)) {
    throw std::invalid_argument("a key can only be blocked with --order all or half");
  }
  options.shape.bystanders = {options.shape.subscribers(), bystanders(plan.kind)};
}

void finish(const CLI::App& app, Options& options, const Raw& raw) {
  options.shape.kinds = shape_with_fanout(raw.fanout).kinds;
  options.shape.order = raw.ordered ? Order::all : order_named(raw.order);
  options.shape.idle = !options.load.closed && options.load.rate == 0;
  options.load.port = static_cast<std::uint16_t>(raw.port);
  options.sink_delay = Millis{raw.sink_delay_ms};
  if (options.shape.idle) options.warmup_seconds = 0;
  finish_disturbance(app, options, raw);
  if (!raw.broken.empty()) options.break_log = fault_named(raw.broken);
  if (!raw.check_only.empty()) options.check_only = raw.check_only;
  if (options.load.closed && options.load.keys > 0 &&
      options.load.keys < options.load.connections) {
    throw std::invalid_argument("--closed needs as many --keys as --connections, or none");
  }
  if (options.shape.order != Order::none && options.load.keys == 0) {
    throw std::invalid_argument("ordered subscribers need --keys");
  }
}

int list(const CLI::App& app, const Raw& raw) {
  for (const Scenario& scenario : list_scenarios(raw.scenarios)) {
    arguments_of(app, scenario);
    std::cout << fmt::format("{:<14}{}\n", scenario.name, scenario.about);
  }
  return 0;
}

int show(const Scenario& scenario, const std::string& what) {
  if (what == "name") std::cout << scenario.name << "\n";
  if (what == "restart") std::cout << (scenario.restart ? "true\n" : "false\n");
  if (what == "hub") {
    for (const std::string& flag : scenario.hub) std::cout << flag << "\n";
  }
  return 0;
}

std::variant<Options, int> parse(CLI::App& app, Options& options, Raw& raw, int argc, char** argv) {
  std::vector<std::string> arguments;
  Scenario scenario;
  const bool named = argc > 1 && argv[1][0] != '-';
  if (named) {
    for (int i = 1; i + 1 < argc; ++i) {
      if (std::string_view(argv[i]) == "--scenarios") raw.scenarios = argv[i + 1];
    }
    scenario = read_scenario(argv[1], raw.scenarios);
    arguments = arguments_of(app, scenario);
    options.scenario = scenario.name;
  }
  for (int i = named ? 2 : 1; i < argc; ++i) arguments.emplace_back(argv[i]);
  std::ranges::reverse(arguments);  // as CLI11 wants them
  app.parse(arguments);
  if (raw.list) return list(app, raw);
  finish(app, options, raw);
  if (!raw.show.empty()) return show(scenario, raw.show);
  if (!options.check_only && (options.load.port == 0 || options.database.empty())) {
    throw std::invalid_argument("--port and --database say where the hub is (see scripts/bench)");
  }
  return options;
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  options.load.seconds = 60;
  Raw raw;
  for (int i = 0; i < argc; ++i) options.command += (i > 0 ? " " : "") + std::string(argv[i]);
  CLI::App app{"Loads a hub over HTTP, receives its webhooks and judges both logs."};
  app.footer("Before the options: a scenario's name or file (--list).");
  add_load(app, options, raw);
  add_disturbance(app, options, raw);
  add_place(app, options, raw);
  try {
    return parse(app, options, raw, argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}

}  // namespace eventhub::bench
