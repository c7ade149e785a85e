#pragma once
#include <functional>
#include <string>

#include "eventhub/core/async.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::app {

// Where the database is, for people: never a password.
std::string describe(const DatabaseConfig& database);

// What else a process reads before it begins; may be called again after a fault.
using FirstReads = std::function<Task<void>()>;

// Brings the schema to head (database.migrate), or checks that it is, and reads what the process
// needs to know of the database. Waits up to database.connect_timeout for a server that does not
// answer yet or loses the session meanwhile, then throws std::runtime_error naming it; returns
// early once `stop` is set. Returns how many migrations were applied. All references outlive the
// task.
Task<int> prepare_database(store::Database& database, const Config& config,
                           const bool* stop = nullptr, FirstReads reads = nullptr);

// What a command does with the database; the configuration is that of the embedded one when it
// runs.
using DatabaseWork = std::function<Task<void>(store::Database& database, const Config& config)>;
// Runs it to its end, with an embedded server of its own where that is configured.
void with_database(const Config& config, const DatabaseWork& work);

// `eventhubd migrate`: exit code.
int run_migrate(const Config& config);
// `eventhubd migrate --print`
std::string schema_text(const Config& config);

}  // namespace eventhub::app
