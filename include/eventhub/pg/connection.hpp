#pragma once
#include <memory>
#include <string>
#include <vector>

#include "eventhub/core/async.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/pg/error.hpp"
#include "eventhub/pg/result.hpp"
#include "eventhub/pg/statement.hpp"

namespace eventhub::pg {

struct ConnectOptions {
  // libpq keyword/value pairs; run-time settings go into `options` as name=value (-c).
  std::vector<std::pair<std::string, std::string>> keywords;
  std::vector<std::pair<std::string, std::string>> settings;
  Millis connect_timeout{5'000};
  // Longest wait for the answer of one call; then the connection is closed and Error says
  // connection_lost (and outcome_unknown when something may have been committed).
  Millis call_timeout{15'000};
};

struct Notification {
  std::string channel, payload;
  int backend_pid = 0;
};

// One libpq connection driven by the io_context; one call at a time (a second concurrent call throws
// std::logic_error). Every wait has a deadline. After an Error with connection_lost, throw it away.
class Connection {
 public:
  static Task<std::unique_ptr<Connection>> open(ConnectOptions options, Metrics* metrics);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One autocommit statement.
  Task<Result> run(const Statement& statement, Params params);
  // Several statements in one pipeline, one round trip, one implicit transaction: all or nothing. Returns
  // when it is committed (the pipeline's sync was answered).
  Task<std::vector<Result>> run_all(std::vector<Call> calls);
  // Simple protocol: SQL text without parameters, may hold several statements.
  Task<void> exec(std::string sql);
  // Waits for notifications up to `limit`; empty when none came.
  Task<std::vector<Notification>> wait_notifications(Millis limit);

  bool healthy() const;
  int backend_pid() const;
  // Wakes wait_notifications and fails a running call, from the same thread.
  void close();

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};
using ConnectionPtr = std::unique_ptr<Connection>;

}  // namespace eventhub::pg
