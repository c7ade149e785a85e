#pragma once
#include <memory>
#include <string>

#include "eventhub/core/config.hpp"

namespace eventhub::store {

// A private PostgreSQL of this process: initdb in a data directory of its own when new, unix socket only,
// as another user when we are root. A lock file keeps two processes apart. Synchronous: used before the
// io_context runs. Throws std::runtime_error with what to do about it.
class EmbeddedPostgres {
 public:
  // Returns when the server accepts connections; a server left by a killed process is taken over.
  static std::unique_ptr<EmbeddedPostgres> start(const EmbeddedConfig& config);
  // Stops the server (fast).
  ~EmbeddedPostgres();
  // Settings that reach it: host = socket directory, role and database `eventhub`.
  DatabaseConfig connection(const DatabaseConfig& base) const;
  const std::string& data_dir() const { return data_dir_; }

 private:
  EmbeddedPostgres() = default;
  std::string data_dir_, bin_dir_, socket_dir_;
  int lock_fd_ = -1;
  unsigned uid_ = 0, gid_ = 0;
};

}  // namespace eventhub::store
