#pragma once
#include <memory>
#include <string>

#include "eventhub/core/config.hpp"

namespace eventhub::store {

// A private PostgreSQL of this process: initdb in a data directory of its own when new, unix socket
// only, as another user when we are root. A lock file keeps two processes apart. Synchronous: used
// before the io_context runs. Throws std::runtime_error with what to do about it.
class EmbeddedPostgres {
 public:
  // Returns when the server accepts connections; a server left by a killed process is taken over. A
  // server that dies later is started again by a thread that watches it.
  static std::unique_ptr<EmbeddedPostgres> start(const EmbeddedConfig& config);
  // Stops the server (fast).
  ~EmbeddedPostgres();
  // Settings that reach it: host = socket directory, role and database `eventhub`.
  DatabaseConfig connection(const DatabaseConfig& base) const;
  const std::string& data_dir() const;
  // Pid of the server's first process.
  int server_pid() const;

 private:
  struct Impl;
  explicit EmbeddedPostgres(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace eventhub::store
