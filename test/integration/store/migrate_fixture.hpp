#pragma once
// Migrating in this process or in one that can be killed.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <string>

#include "eventhub/store/migrate.hpp"
#include "support/private_postgres.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

// Runs one call of store::migrate; returns how many were applied.
inline int migrate(const DatabaseConfig& config, std::int64_t partition_rows = 1'000) {
  boost::asio::io_context io;
  Metrics metrics(10);
  store::Database database(io.get_executor(), config, metrics);
  return run(io, store::migrate(database, partition_rows));
}

inline void check_schema(const DatabaseConfig& config) {
  boost::asio::io_context io;
  Metrics metrics(10);
  store::Database database(io.get_executor(), config, metrics);
  run(io, store::check_schema(database));
}

// The same in a child: exit code 100 + applied, or 99 for an exception.
class MigratingProcess {
 public:
  explicit MigratingProcess(const DatabaseConfig& config) : pid_(::fork()) {
    if (pid_ != 0) return;
    int code = 99;
    try {
      code = 100 + migrate(config);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    ::_exit(code);
  }
  ~MigratingProcess() { kill9(); }
  MigratingProcess(const MigratingProcess&) = delete;
  MigratingProcess& operator=(const MigratingProcess&) = delete;
  void kill9() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  // How many it applied; negative after an exception or a kill.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) - 100 : -2;
  }

 private:
  pid_t pid_;
};

}  // namespace eventhub::test
