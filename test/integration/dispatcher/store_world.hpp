#pragma once
// What a dispatcher has of the store, without lanes and receivers.
#include <numeric>

#include "eventhub/store/lane_writer.hpp"
#include "eventhub/store/payloads.hpp"
#include "support/hub.hpp"

namespace eventhub::test {

inline std::vector<std::int16_t> shards_between(int first, int last) {
  std::vector<std::int16_t> shards(static_cast<std::size_t>(last - first + 1));
  std::iota(shards.begin(), shards.end(), static_cast<std::int16_t>(first));
  return shards;
}
inline const std::vector<std::int16_t> kEveryShard = shards_between(0, kShards - 1);

// Every pair of the events first..last and `subscribers`, over all shards, every second one with
// an ordering key; `where` names events as e and subscribers as s.
inline std::string add_messages(int first, int last, int subscribers,
                                const std::string& where = "true") {
  const std::string range = std::to_string(first) + ", " + std::to_string(last);
  return "INSERT INTO messages SELECT e, s, (e * 7 + s) % 64, CASE WHEN s % 2 = 0 THEN e % 5 END"
         " FROM generate_series(" +
         range + ") e, generate_series(1, " + std::to_string(subscribers) + ") s WHERE " + where +
         ";\nUPDATE sequencer SET cursor = " + std::to_string(last) + ";\n";
}

struct StoreWorld {
  explicit StoreWorld(std::int64_t partition_rows = 1'000, Config settings = {})
      : db(partition_rows), hub(io, db, std::move(settings)) {}

  pg::ConnectionPtr connect() { return run(io, hub.database.connect(store::Profile::hot)); }
  // How often a statement was run.
  int runs_of(const std::string& statement) {
    const std::string all = hub.metrics.expose();
    const std::string name =
        "eventhub_db_statement_duration_seconds_count{statement=\"" + statement + "\"} ";
    const std::size_t at = all.find(name);
    return at == std::string::npos ? 0 : std::stoi(all.substr(at + name.size()));
  }
  void drop_partition(int number) {
    const std::string n = std::to_string(number);
    db.sql("DROP TABLE events_p" + n + ", messages_p" + n + ", delivery_attempts_p" + n +
           "; DELETE FROM partitions WHERE number = " + n);
    run(io, hub.partitions.reload());
  }

  boost::asio::io_context io;
  TestDatabase db;
  Hub hub;
};

// The payloads' reading loop at work until the end of its scope.
class RunningPayloads {
 public:
  explicit RunningPayloads(Hub& hub) : payloads(hub.context), hub_(hub) {
    spawn(executor_of(hub.io), "payloads", work());
  }
  ~RunningPayloads() {
    payloads.stop();
    run_until(hub_.io, [this] { return ended_; });
  }
  RunningPayloads(const RunningPayloads&) = delete;
  RunningPayloads& operator=(const RunningPayloads&) = delete;

  store::Payloads payloads;

 private:
  Task<void> work() {
    co_await payloads.run();
    ended_ = true;
  }
  Hub& hub_;
  bool ended_ = false;
};

}  // namespace eventhub::test
