#pragma once
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/shape.hpp"

struct pg_conn;

namespace eventhub::bench {

// The hub's database: subscribers are made here, and PostgreSQL's own counters read. Synchronous.
// Every member throws std::runtime_error.
class HubDatabase {
 public:
  explicit HubDatabase(const std::string& conninfo);

  // Subscriber i posts to http://127.0.0.1:ports[i % ports]/s/i.
  void subscribe(const Shape& shape, const std::vector<std::uint16_t>& ports);
  // Removes what subscribe() made, in this run or one before.
  void unsubscribe();

  struct Counters {
    std::int64_t wal_bytes = 0;
    std::int64_t writing_transactions = 0;  // exact: transaction ids given out
    std::int64_t transactions = 0;          // pg_stat_database; a session reports each second
  };
  Counters counters();

  struct Progress {
    std::int64_t messages = 0, ended = 0, dead = 0;
  };
  Progress progress();

  // Name and value of settings that a measurement depends on.
  std::vector<std::pair<std::string, std::string>> settings();

  // The server process of this connection, whose work is not the hub's.
  pid_t backend() const;

 private:
  using Row = std::vector<std::string>;
  std::vector<Row> query(const std::string& sql);

  std::unique_ptr<pg_conn, void (*)(pg_conn*)> connection_;
};

}  // namespace eventhub::bench
