// One run: the sink and the producer in processes of their own; readings of all clocks before the
// load and after the drain, once or (with a disturbance) twice; then the check of the logs.
#include "bench/run.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "bench/breaks.hpp"
#include "bench/cpu.hpp"
#include "bench/disturb.hpp"
#include "bench/memory.hpp"
#include "bench/process.hpp"
#include "bench/records.hpp"
#include "bench/report.hpp"
#include "bench/sink.hpp"

namespace eventhub::bench {
namespace {

// Every stretch of load has numbers and keys of its own.
constexpr std::uint64_t kNumbersOfPart = std::uint64_t{1} << 40;
constexpr std::uint64_t kWarmUpNumbers = kNumbersOfPart / 2;

struct Reading {
  std::int64_t time = 0, hub = 0, postgres = 0, sink = 0, busy = 0;
  HubDatabase::Counters database;
};

// What was measured, by part.
struct Parts {
  std::vector<Measured> measured;
  double prepared_seconds = 0;
};

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        answered_(shared_counter()),
        listeners_(listen_on_free_ports(
            std::min<std::size_t>(options.origins, options.shape.subscribers()))),
        sink_("receiver", [this] { receive(); }),
        database_(options.database) {}

  Parts go() {
    std::vector<std::uint16_t> ports;
    for (const Listener& listener : listeners_) ports.push_back(listener.port);
    database_.subscribe(options_.shape, ports);
    const bool twice = options_.disturb.kind != Disturb::none;
    Disturbance disturbance(options_.disturb,
                            {database_, options_.database, options_.shape, ports,
                             [this](const Load& load) { post(load); },
                             [](std::string_view what) { say(fmt::format("  {}\n", what)); }});
    say(fmt::format("{}: {}\n", options_.scenario.empty() ? "load" : options_.scenario,
                    describe()));
    Parts parts;
    parts.measured.push_back(measure(options_.load, 1));
    if (twice) {
      say(fmt::format("again with {}\n", options_.disturb.describe()));
      const std::int64_t begun = now_ns();
      disturbance.prepare();
      parts.prepared_seconds = static_cast<double>(now_ns() - begun) / kSecond;
      Load load = options_.load;
      disturbance.change(load);
      parts.measured.push_back(measure(load, 2));
      disturbance.verify();
    }
    sink_.terminate();
    sink_.wait();
    // Deleting the subscriber of a large backlog would set the hub to work when nobody looks.
    if (!twice) database_.unsubscribe();
    return parts;
  }

 private:
  static void say(const std::string& text) {
    fmt::print("{}", text);
    std::fflush(stdout);
  }

  std::string describe() const {
    std::string load = fmt::format("{} events/s", options_.load.rate);
    if (options_.shape.idle) load = "no events";
    if (options_.load.closed) {
      load = fmt::format("{} connections, closed loop", options_.load.connections);
    }
    return fmt::format("{} for {} s, {} bytes, {} subscribers, order {}", load,
                       options_.load.seconds, options_.shape.payload_bytes,
                       options_.shape.subscribers(), to_string(options_.shape.order));
  }

  void receive() {
    SinkPlan plan;
    plan.listeners = listeners_;
    plan.payload_bytes = options_.shape.payload_bytes;
    plan.delay = options_.sink_delay;
    plan.bystanders_from = options_.shape.subscribers();
    plan.bystander_delay = options_.disturb.slow;
    plan.refused_key = kBlockedKey;
    plan.log_file = receipts_file(options_.logs);
    plan.answered = answered_;
    run_sink(plan);
  }

  Measured measure(Load load, std::uint8_t part) {
    load.part = part;
    load.first_number = kNumbersOfPart * (part - 1u);
    load.first_key = 2 * load.keys * (part - 1u);
    // Both halves begin alike: PostgreSQL writes whole pages at their first change after this.
    if (options_.disturb.kind != Disturb::none && !options_.admin.empty()) {
      checkpoint(options_.admin);
    }
    begin_counting();
    if (options_.warmup_seconds > 0) warm_up(load);
    for (const pid_t pid : options_.hub_pids) forget_peak_memory(pid);
    const Reading before = read();
    const std::int64_t producer_cpu = options_.shape.idle ? be_idle(load) : post(load);
    const std::int64_t answered = now_ns();
    const std::int64_t committed = drain();
    Measured measured = difference(before, read());
    measured.producer_cpu = producer_cpu;
    measured.other_cpu -= producer_cpu;
    measured.committed_after = committed - answered;
    measured.settings = database_.settings();
    for (const pid_t pid : options_.hub_pids) {
      measured.hub_peak_memory = std::max(measured.hub_peak_memory, peak_memory(pid));
    }
    return measured;
  }

  // Its events are checked, but not timed.
  void warm_up(Load load) {
    load.seconds = options_.warmup_seconds;
    load.part = 0;
    load.first_number += kWarmUpNumbers;
    load.first_key += options_.load.keys;
    post(load);
    drain();
  }

  // Answers the CPU time of the producer.
  std::int64_t post(Load load) {
    load.port = options_.load.port;
    load.connections = options_.load.connections;
    load.run = fmt::format("bench-{}", ::getpid());
    const std::string log = posts_file(options_.logs);
    Child producer("producer", [this, &load, &log] { produce(load, options_.shape, log); });
    return producer.wait();
  }

  static std::int64_t be_idle(const Load& load) {
    ::poll(nullptr, 0, static_cast<int>(load.seconds * 1'000));
    return 0;
  }

  std::uint64_t posted_deliveries() const {
    std::uint64_t count = 0;
    std::ifstream file(posts_file(options_.logs), std::ios::binary);
    for (Post post; file.read(reinterpret_cast<char*>(&post), sizeof post);) {
      if (post.accepted() && !post.optional) count += options_.shape.kinds.at(post.kind).count;
    }
    return count;
  }

  // What is there already is not waited for.
  void begin_counting() {
    first_event_ = database_.last_event();
    expected_before_ = posted_deliveries();
    answered_before_ = answered_->load();
  }

  // Waits until the receiver got everything and every result is in the tables, or nothing moves
  // any more. Returns when it was first seen to be so. Counting costs PostgreSQL more than it is
  // worth while there is still much to come, so the receiver is asked first.
  std::int64_t drain() {
    const std::uint64_t wanted = posted_deliveries() - expected_before_;
    std::uint64_t seen = 0;
    std::int64_t ended = 0;
    std::int64_t moved = now_ns();
    while (true) {
      const std::int64_t now = now_ns();
      const std::uint64_t answered = answered_->load() - answered_before_;
      if (answered != seen) moved = now;
      if (answered >= wanted || answered == seen) {
        const std::int64_t done = database_.ended(first_event_);
        if (done >= static_cast<std::int64_t>(wanted)) return now;
        if (done != ended) moved = now;
        ended = done;
      }
      if (static_cast<double>(now - moved) > options_.drain_seconds_max * kSecond) {
        fmt::print("gave up: {} of {} webhooks arrived and {} results were committed\n", answered,
                   wanted, ended);
        return now;
      }
      seen = answered;
      ::poll(nullptr, 0, answered >= wanted ? 20 : 100);
    }
  }

  Reading read() {
    Reading reading;
    reading.database = database_.counters();
    const ProcessTable processes;
    const pid_t own = database_.backend();
    const pid_t postmaster = processes.parent_of(own);
    reading.time = now_ns();
    for (const pid_t pid : options_.hub_pids) {
      reading.hub += processes.cpu_of_tree(pid, {postmaster});
    }
    // A database on another machine has pids that mean nothing here.
    if (postmaster > 1) reading.postgres = processes.cpu_of_tree(postmaster, {own});
    reading.sink = cpu_of_process(sink_.pid());
    reading.busy = busy_cpu();
    return reading;
  }

  static Measured difference(const Reading& before, const Reading& after) {
    Measured m;
    m.wall = after.time - before.time;
    m.hub_cpu = after.hub - before.hub;
    m.postgres_cpu = after.postgres - before.postgres;
    m.sink_cpu = after.sink - before.sink;
    m.other_cpu = after.busy - before.busy - m.hub_cpu - m.postgres_cpu - m.sink_cpu;
    m.database.wal_bytes = after.database.wal_bytes - before.database.wal_bytes;
    m.database.writing_transactions =
        after.database.writing_transactions - before.database.writing_transactions;
    m.database.transactions = after.database.transactions - before.database.transactions;
    return m;
  }

  const Options& options_;
  Counter* const answered_;
  const std::vector<Listener> listeners_;
  Child sink_;
  HubDatabase database_;
  std::int64_t first_event_ = 0;
  std::uint64_t expected_before_ = 0, answered_before_ = 0;
};

int exit_code(const Verdict& verdict) {
  if (!verdict.clean()) return 1;
  return verdict.tested() ? 0 : 2;
}

int check_logs(const Options& options) {
  const Shape shape = load_shape(shape_file(*options.check_only));
  Logs logs = read_logs(*options.check_only);
  if (options.break_log) break_logs(*options.break_log, shape, logs);
  const Verdict verdict = check(shape, logs);
  fmt::print("{}", verdict_text(verdict));
  return exit_code(verdict);
}

// What was there before this run must not be judged with it.
void begin_logs(const Options& options) {
  std::filesystem::create_directories(options.logs);
  for (const std::string& log : {posts_file(options.logs), receipts_file(options.logs)}) {
    std::ofstream(log, std::ios::trunc);
  }
  save(options.shape, shape_file(options.logs));
}

void print(const Options& options, const std::vector<Report>& reports) {
  if (reports.size() == 1) return fmt::print("{}\n", table(reports[0]));
  fmt::print("\nundisturbed\n{}\nwith {}\n{}\n{}\n", table(reports[0]), options.disturb.describe(),
             table(reports[1]), table(ratios(reports[0], reports[1])));
}

void write_json(const Options& options, const std::vector<Report>& reports,
                double prepared_seconds) {
  const Comparison comparison{reports.front(), prepared_seconds};
  std::ofstream file(options.json, std::ios::trunc);
  file << json(options, reports.back(), reports.size() > 1 ? &comparison : nullptr);
  if (!file.flush()) throw std::runtime_error("cannot write " + options.json);
}

}  // namespace

int run(const Options& options) {
  if (options.check_only) return check_logs(options);
  begin_logs(options);
  Parts parts;
  {
    Run run(options);
    parts = run.go();
  }
  Logs logs = read_logs(options.logs);
  if (options.break_log) break_logs(*options.break_log, options.shape, logs);
  const Verdict verdict = check(options.shape, logs);
  std::vector<Report> reports;
  for (const Measured& measured : parts.measured) {
    const auto part = static_cast<std::uint8_t>(reports.size() + 1);
    reports.push_back(make_report(logs, options.shape, verdict, measured, part));
  }
  Report& last = reports.back();
  if (options.baseline && last.events > 0) last.baseline = measure_baseline(options, last.commits);
  print(options, reports);
  fmt::print("{}", verdict_text(verdict));
  if (!options.json.empty()) write_json(options, reports, parts.prepared_seconds);
  return exit_code(verdict);
}

}  // namespace eventhub::bench
