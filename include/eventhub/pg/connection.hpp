#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "eventhub/core/async.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/pg/error.hpp"
#include "eventhub/pg/result.hpp"
#include "eventhub/pg/statement.hpp"

namespace eventhub::pg {

// Gives up an open() that is under way, from the same thread: it fails as if the link were lost.
class Abort {
 public:
  void set() {
    set_ = true;
    if (hook_) hook_();
  }

 private:
  friend class Connection;
  bool set_ = false;
  std::function<void()> hook_;
};

struct ConnectOptions {
  // libpq keyword/value pairs; run-time settings go into `options` as name=value (-c).
  std::vector<std::pair<std::string, std::string>> keywords;
  std::vector<std::pair<std::string, std::string>> settings;
  Millis connect_timeout{5'000};
  // Longest wait for the answer of one call; then the connection is closed and Error says
  // connection_lost (and outcome_unknown when something may have been committed).
  Millis call_timeout{15'000};
  // Kept as long as the connection is open; whoever counts connections learns of the end by its
  // deleter.
  std::shared_ptr<void> lease;
  std::shared_ptr<Abort> abort;
};

// Keywords of a postgresql:// URL or of "host=… user=…". std::runtime_error when it is neither; the
// message does not repeat it.
std::vector<std::pair<std::string, std::string>> parse_conninfo(const std::string& conninfo);

struct Notification {
  std::string channel, payload;
  int backend_pid = 0;
};

// One libpq connection driven by the io_context; one call at a time (a second concurrent call
// throws std::logic_error). Every wait has a deadline. After an Error with connection_lost, throw
// it away.
class Connection {
 public:
  static Task<std::unique_ptr<Connection>> open(ConnectOptions options, Metrics* metrics);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One autocommit statement.
  Task<Result> run(const Statement& statement, Params params);
  // Several statements in one pipeline, one round trip, one implicit transaction: all or nothing.
  // Returns when it is committed (the pipeline's sync was answered).
  Task<std::vector<Result>> run_all(std::vector<Call> calls);
  // Simple protocol: SQL text without parameters, may hold several statements. `limit` for those
  // that take longer than call_timeout (zero: call_timeout).
  Task<void> exec(std::string sql, Millis limit = Millis{0});
  // Waits for notifications up to `limit`; empty when none came or close() was called.
  Task<std::vector<Notification>> wait_notifications(Millis limit);

  // False when the link is known to be gone; looks at the socket when no call runs.
  bool healthy() const;
  // Inside BEGIN … COMMIT of exec(), failed or not.
  bool in_transaction() const;
  int backend_pid() const;
  int server_version() const;  // 150020
  // Wakes wait_notifications and fails a running call, from the same thread. The server frees its
  // locks.
  void close();

 private:
  struct Impl;
  explicit Connection(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with a call that still runs when this object goes
};
using ConnectionPtr = std::unique_ptr<Connection>;

}  // namespace eventhub::pg
