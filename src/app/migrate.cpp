// The first contact with the database: wait for it a little, migrate it, read its facts
// (store/migrate, store/database). Used by the hub before its roles start and by `eventhubd
// migrate`.
#include "app/migrate.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <iostream>

#include "eventhub/core/metrics.hpp"
#include "eventhub/store/embedded.hpp"
#include "eventhub/store/migrate.hpp"

namespace eventhub::app {
namespace {

constexpr Millis kRetryEvery{200};

// A server that is starting, restarting, full or not there yet; not one that refuses us.
bool may_come_back(const pg::Error& error) {
  if (error.sqlstate.empty()) return true;
  return error.sqlstate == "57P03" || error.sqlstate == "57P01" || error.sqlstate == "53300" ||
         error.sqlstate.starts_with("08");
}

std::runtime_error unreachable(const DatabaseConfig& database, const pg::Error& error) {
  return std::runtime_error(
      "cannot use PostgreSQL at " + describe(database) + ": " + error.what() +
      ". Set DB_HOST, DB_NAME, DB_USER and DB_PASSWORD (or DATABASE_URL), or run a private one: "
      "eventhubd --embedded");
}

// Host, port and name of a URL. A password may be anywhere in a list of keywords, and hold any sign
// in a URL that somebody did not escape: in doubt nothing is shown.
std::string describe_url(const std::string& url) {
  for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
    if (!url.starts_with(scheme)) continue;
    const std::string rest = url.substr(scheme.size());
    const auto at = rest.rfind('@');
    const auto query = std::min(rest.find('?'), rest.size());
    if (at == std::string::npos) return rest.substr(0, query);
    if (at < query) return rest.substr(at + 1, query - at - 1);
  }
  return "DATABASE_URL";
}

Task<int> bring_to_head(store::Database& database, const Config& config) {
  int applied = 0;
  if (config.database.migrate) {
    applied = co_await store::migrate(database, config.cleanup.partition_rows);
  }
  co_await store::check_schema(database);
  co_await database.load();
  co_return applied;
}

}  // namespace

std::string describe(const DatabaseConfig& database) {
  if (database.url.empty()) {
    return database.host + ":" + std::to_string(database.port) + " (database " + database.name +
           ", user " + database.user + ")";
  }
  return describe_url(database.url);
}

Task<int> prepare_database(store::Database& database, const Config& config, const bool* stop,
                           FirstReads reads) {
  const SystemClock clock;
  const Mono deadline = clock.mono() + config.database.connect_timeout;
  int applied = 0;
  for (;;) {
    try {
      applied += co_await bring_to_head(database, config);
      if (reads) co_await reads();
      co_return applied;
    } catch (const pg::Error& error) {
      if (!may_come_back(error) || clock.mono() >= deadline) {
        throw unreachable(config.database, error);
      }
    }
    co_await sleep_for(kRetryEvery);
    if (stop != nullptr && *stop) co_return applied;
  }
}

void with_database(const Config& given, const DatabaseWork& work) {
  Config config = given;
  std::unique_ptr<store::EmbeddedPostgres> embedded;
  if (config.embedded.enabled) {
    embedded = store::EmbeddedPostgres::start(config.embedded);
    config.database = embedded->connection(config.database);
  }
  Metrics metrics(1);
  std::exception_ptr failure;
  boost::asio::io_context context(1);
  store::Database database(context.get_executor(), config.database, metrics);
  const auto failed = [&failure](std::exception_ptr error) { failure = error; };
  spawn(context.get_executor(), "command", work(database, config), failed);
  context.run();
  if (failure) std::rethrow_exception(failure);
}

namespace {

struct MigrateRun {
  int applied = 0;
  std::string place;
};

Task<void> migrate_into(store::Database& database, const Config& config, MigrateRun& run) {
  run.place = describe(config.database);
  run.applied = co_await prepare_database(database, config);
}

}  // namespace

int run_migrate(const Config& given) {
  Config config = given;
  config.database.migrate = true;
  MigrateRun run;
  with_database(config, [&run](store::Database& database, const Config& used) {
    return migrate_into(database, used, run);
  });
  std::cout << "schema " << config.database.schema << " at " << run.place << " is at migration "
            << store::migrations().back().number << " (" << run.applied << " applied)" << std::endl;
  return 0;
}

std::string schema_text(const Config& config) {
  return store::schema_sql(config.database.schema);
}

}  // namespace eventhub::app
