// One run: the sink and the producer in processes of their own, so that their CPU time can be told
// apart; readings of all clocks before the load and after the drain; then the check of the logs.
#include "bench/run.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "bench/breaks.hpp"
#include "bench/cpu.hpp"
#include "bench/process.hpp"
#include "bench/report.hpp"
#include "bench/sink.hpp"

namespace eventhub::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kWarmUpNumbers = std::uint64_t{1} << 40;

struct Reading {
  std::int64_t time = 0, hub = 0, postgres = 0, sink = 0, busy = 0;
  HubDatabase::Counters database;
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

  Measured go() {
    std::vector<std::uint16_t> ports;
    for (const Listener& listener : listeners_) ports.push_back(listener.port);
    database_.subscribe(options_.shape, ports);
    began_with_ = database_.progress();
    if (options_.warmup_seconds > 0) warm_up();
    fmt::print("{}: {}\n", options_.scenario.empty() ? "load" : options_.scenario, describe());
    const Reading before = read();
    const std::int64_t producer_cpu = load(options_.load);
    const std::int64_t answered = now_ns();
    const std::int64_t committed = drain();
    const Reading after = read();
    sink_.terminate();
    sink_.wait();
    database_.unsubscribe();
    Measured measured = difference(before, after);
    measured.producer_cpu = producer_cpu;
    measured.other_cpu -= producer_cpu;
    measured.committed_after = committed - answered;
    measured.settings = database_.settings();
    return measured;
  }

 private:
  std::string describe() const {
    const std::string load =
        options_.load.closed ? fmt::format("{} connections, closed loop", options_.load.connections)
                             : fmt::format("{} events/s", options_.load.rate);
    return fmt::format("{} for {} s, {} bytes, {} subscribers, order {}", load,
                       options_.load.seconds, options_.shape.payload_bytes,
                       options_.shape.subscribers(), to_string(options_.shape.order));
  }

  void receive() {
    SinkPlan plan;
    plan.listeners = listeners_;
    plan.payload_bytes = options_.shape.payload_bytes;
    plan.delay = options_.sink_delay;
    plan.log_file = receipts_file(options_.logs);
    plan.answered = answered_;
    run_sink(plan);
  }

  // Its events have numbers and keys of their own; they are checked, but not timed.
  void warm_up() {
    Load load = options_.load;
    load.seconds = options_.warmup_seconds;
    load.measured = false;
    load.first_number = kWarmUpNumbers;
    load.first_key = options_.load.keys;
    this->load(load);
    drain();
  }

  std::int64_t load(Load load) {
    load.run = fmt::format("bench-{}", ::getpid());
    const std::string log = posts_file(options_.logs);
    Child producer("producer", [this, &load, &log] { produce(load, options_.shape, log); });
    return producer.wait();
  }

  std::uint64_t expected() const {
    std::uint64_t count = 0;
    std::ifstream file(posts_file(options_.logs), std::ios::binary);
    for (Post post; file.read(reinterpret_cast<char*>(&post), sizeof post);) {
      if (post.accepted()) count += options_.shape.kinds.at(post.kind).count;
    }
    return count;
  }

  // Waits until the receiver got everything and every result is in the tables, or nothing moves
  // any more. Returns when it was first seen to be so. Counting costs PostgreSQL more than it is
  // worth while there is still much to come, so the receiver is asked first.
  std::int64_t drain() {
    const std::uint64_t wanted = expected();
    std::uint64_t seen = answered_->load();
    std::int64_t moved = now_ns();
    std::int64_t ended = 0;
    while (true) {
      const std::int64_t now = now_ns();
      const std::uint64_t answered = answered_->load();
      if (answered != seen) moved = now;
      const bool still = now - moved > kSecond;
      if (answered >= wanted || still) {
        const HubDatabase::Progress progress = database_.progress();
        const std::int64_t done = progress.ended - began_with_.ended;
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
  HubDatabase::Progress began_with_;
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

}  // namespace

int run(const Options& options) {
  if (options.check_only) return check_logs(options);
  std::filesystem::create_directories(options.logs);
  for (const std::string& old : {posts_file(options.logs), receipts_file(options.logs)}) {
    std::filesystem::remove(old);
  }
  save(options.shape, shape_file(options.logs));
  Measured measured;
  {
    Run run(options);
    measured = run.go();
  }
  Logs logs = read_logs(options.logs);
  if (options.break_log) break_logs(*options.break_log, options.shape, logs);
  Report report = make_report(logs, check(options.shape, logs), measured);
  if (options.baseline && report.events > 0) {
    report.baseline = measure_baseline(options, report.commits);
  }
  fmt::print("{}\n{}", table(report), verdict_text(report.verdict));
  if (!options.json.empty()) {
    std::ofstream file(options.json, std::ios::trunc);
    file << json(options, report);
    if (!file.flush()) throw std::runtime_error("cannot write " + options.json);
  }
  return exit_code(report.verdict);
}

}  // namespace eventhub::bench
