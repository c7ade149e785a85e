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

  // Subscriber i is called at receiver_url(ports, i).
  void subscribe(const Shape& shape, const std::vector<std::uint16_t>& ports);
  // One more, of these event types; unordered, and its messages are tried for hours.
  void add_subscriber(std::uint32_t number, const std::vector<std::string>& types,
                      const std::string& url);
  // Removes what subscribe() and add_subscriber() made, in this run or one before.
  void unsubscribe();
  // The sid of subscriber 0; those of the others follow.
  std::int64_t first_subscriber() const { return first_sid_; }

  struct Counters {
    std::int64_t wal_bytes = 0;
    std::int64_t writing_transactions = 0;  // exact: transaction ids given out
    std::int64_t transactions = 0;          // pg_stat_database; a session reports each second
  };
  Counters counters();

  // The event_seq given out last.
  std::int64_t last_event();
  // Results of the subscribers of subscribe(), of later events, after which nothing more comes.
  std::int64_t ended(std::int64_t after_event);

  void execute(const std::string& sql);
  // The only number that is answered (in the last of several statements).
  std::int64_t number(const std::string& sql);

  // Opens a transaction that has a snapshot and a transaction id, and leaves it open.
  void hold_transaction();
  // Ends it. Throws when it was not there any more.
  void end_transaction();

  // Name and value of settings that a measurement depends on.
  std::vector<std::pair<std::string, std::string>> settings();

  // The server process of this connection, whose work is not the hub's.
  pid_t backend() const;

 private:
  using Row = std::vector<std::string>;
  std::vector<Row> query(const std::string& sql);

  std::unique_ptr<pg_conn, void (*)(pg_conn*)> connection_;
  std::int64_t first_sid_ = 0, last_sid_ = -1;
};

// http://127.0.0.1:PORT/s/NUMBER at one of the receiver's ports.
std::string receiver_url(const std::vector<std::uint16_t>& ports, std::uint32_t subscriber);

// A checkpoint, by somebody who may (a superuser or pg_checkpoint). Throws std::runtime_error.
void checkpoint(const std::string& conninfo);

}  // namespace eventhub::bench
