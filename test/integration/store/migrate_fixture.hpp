#pragma once
// Migrating in this process or in one that can be killed.
#include <boost/asio/io_context.hpp>
#include <string>

#include "eventhub/store/migrate.hpp"
#include "support/child_case.hpp"
#include "support/private_postgres.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

// Runs one call of store::migrate; returns how many were applied.
inline int migrate(const DatabaseConfig& config, std::int64_t partition_rows = 1'000) {
  boost::asio::io_context io;
  Metrics metrics(10);
  store::Database database(executor_of(io), config, metrics);
  return run(io, store::migrate(database, partition_rows));
}

inline void check_schema(const DatabaseConfig& config) {
  boost::asio::io_context io;
  Metrics metrics(10);
  store::Database database(executor_of(io), config, metrics);
  run(io, store::check_schema(database));
}

// The same in a child (migrate_test.cpp).
class MigratingProcess {
 public:
  explicit MigratingProcess(const DatabaseConfig& config)
      : child_("child: migrates", {"CHILD_HOST=" + config.host, "CHILD_DATABASE=" + config.name}) {}
  // Until its program has started.
  void await_begin() { child_.await_begin(); }
  void kill9() { child_.kill9(); }
  // How many it applied; negative after an exception or a kill.
  int wait() { return child_.wait() - 100; }

 private:
  ChildCase child_;
};

}  // namespace eventhub::test
