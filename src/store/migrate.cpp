// Brings the schema to the head of migrations/: lock, compare with schema_migrations, apply what is
// missing, each in one transaction. The texts come from migrations.cpp.
#include "eventhub/store/migrate.hpp"

#include <fmt/format.h>

#include <map>
#include <stdexcept>

#include "eventhub/core/log.hpp"
#include "store/migrations_sql.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kLockPause{200};
constexpr int kLockTries = 300;  // a minute
constexpr Millis kBusyPause{1'000};
constexpr int kBusyTries = 60;
constexpr Millis kMigrationMax{3'600'000};

struct Applied {
  std::string name, checksum;
};
using AppliedMap = std::map<int, Applied>;

Task<void> check_server(pg::Connection& connection) {
  static const pg::Statement statement{
      "migrate_server", "SELECT current_setting('server_encoding'), current_database()::text"};
  if (connection.server_version() < kServerVersionMin) {
    throw std::runtime_error(fmt::format("PostgreSQL {} is too old: eventhubd needs 14 or newer",
                                         connection.server_version() / 10'000));
  }
  const pg::Result row = co_await connection.run(statement, {});
  if (row.text(0, 0) == "UTF8") co_return;
  throw std::runtime_error(
      fmt::format("database {0} has the encoding {1}, eventhubd needs UTF8: CREATE DATABASE {0} "
                  "ENCODING 'UTF8' "
                  "TEMPLATE template0",
                  row.text(0, 1), row.text(0, 0)));
}

// A session lock: it goes with the connection, whatever happens to us. Polled, so that a statement
// that waits cannot run into the connection's own limits.
Task<void> take_lock(pg::Connection& connection, std::string schema) {
  const pg::Statement statement{"migrate_lock", migration_lock("pg_try_advisory_lock", schema)};
  for (int attempt = 0; attempt < kLockTries; ++attempt) {
    const pg::Result row = co_await connection.run(statement, {});
    if (row.boolean(0, 0)) co_return;
    co_await sleep_for(kLockPause);
  }
  throw std::runtime_error(
      fmt::format("another process has been migrating schema {} for {} s; try again later", schema,
                  kLockPause.count() * kLockTries / 1'000));
}

// CREATE SCHEMA IF NOT EXISTS asks for the right to create even when there is nothing to do.
Task<void> make_schema(pg::Connection& connection, std::string schema) {
  static const pg::Statement exists{"migrate_schema",
                                    "SELECT to_regnamespace(quote_ident($1)) IS NOT NULL"};
  pg::Params params;
  params.text(schema);
  const pg::Result row = co_await connection.run(exists, std::move(params));
  if (row.boolean(0, 0)) co_return;
  std::string refusal;
  try {
    co_await connection.exec("CREATE SCHEMA " + quote_identifier(schema));
  } catch (const pg::Error& error) {
    if (error.sqlstate != "42501") throw;
    refusal = error.server_message;
  }
  if (refusal.empty()) co_return;
  throw std::runtime_error(
      fmt::format("cannot create schema {0}: {1}; as a superuser: CREATE SCHEMA {0} AUTHORIZATION "
                  "<the role of eventhubd>",
                  quote_identifier(schema), refusal));
}

// What the database says was applied; nullopt when it has no schema_migrations.
Task<std::optional<AppliedMap>> read_applied(pg::Connection& connection, std::string schema) {
  static const pg::Statement exists{
      "migrate_table", "SELECT to_regclass(quote_ident($1) || '.schema_migrations') IS NOT NULL"};
  const pg::Statement rows{"migrate_applied",
                           fmt::format("SELECT number, name, checksum FROM {}.schema_migrations",
                                       quote_identifier(schema))};
  pg::Params params;
  params.text(schema);
  const pg::Result known = co_await connection.run(exists, std::move(params));
  if (!known.boolean(0, 0)) co_return std::nullopt;
  const pg::Result result = co_await connection.run(rows, {});
  AppliedMap applied;
  for (int row = 0; row < result.rows(); ++row) {
    applied[result.i32(row, 0)] = {std::string(result.text(row, 1)),
                                   std::string(result.text(row, 2))};
  }
  co_return applied;
}

// Throws when the database does not come from a prefix of our migrations.
void compare(const AppliedMap& applied, std::string_view schema) {
  std::map<int, const Migration*> ours;
  for (const Migration& migration : migrations()) ours[migration.number] = &migration;
  for (const auto& [number, row] : applied) {
    const auto found = ours.find(number);
    if (found == ours.end()) {
      throw std::runtime_error(
          fmt::format("schema {} has migration {:04}_{}, which this eventhubd ({}) does not know "
                      "(its last is {:04}): it was "
                      "migrated by a newer version; run that one",
                      schema, number, row.name, EVENTHUB_VERSION, migrations().back().number));
    }
    if (found->second->checksum != row.checksum) {
      throw std::runtime_error(
          fmt::format("migration {:04}_{} of schema {} was applied from another text than this "
                      "eventhubd's (SHA-256 {:.12}… "
                      "there, {:.12}… here): they are of different builds; a migration never "
                      "changes once it was applied",
                      number, row.name, schema, row.checksum, found->second->checksum));
    }
  }
}

std::vector<const Migration*> pending(const AppliedMap& applied) {
  std::vector<const Migration*> out;
  for (const Migration& migration : migrations()) {
    if (!applied.contains(migration.number)) out.push_back(&migration);
  }
  return out;
}

// One transaction; again when a lock on a busy table was not to be had quickly.
Task<void> transact(pg::Connection& connection, std::string what, std::string sql) {
  for (int attempt = 1;; ++attempt) {
    std::string refusal;
    bool busy = false;
    try {
      co_await connection.exec("BEGIN;\n" + sql + "COMMIT;\n", kMigrationMax);
      co_return;
    } catch (const pg::Error& error) {
      if (error.connection_lost) throw;
      busy = error.sqlstate == "55P03" && attempt < kBusyTries;
      refusal = error.server_message.empty() ? error.what() : error.server_message;
    }
    co_await connection.exec("ROLLBACK");
    if (!busy) throw std::runtime_error(fmt::format("{} failed: {}", what, refusal));
    log::warn("a table is busy, trying again", {{"step", what}, {"attempt", attempt}});
    co_await sleep_for(kBusyPause);
  }
}

Task<void> apply(pg::Connection& connection, std::string schema, const Migration& migration,
                 bool first, std::int64_t partition_rows) {
  std::string what = fmt::format("migration {:04}_{}", migration.number, migration.name);
  std::string sql = migration_settings(schema);
  if (first) sql += create_migrations_table();
  sql += migration_body(migration, partition_rows);
  co_await transact(connection, what, std::move(sql));
  log::info("migration applied", {{"number", migration.number}, {"name", migration.name}});
}

// Looks before it locks: at head this needs no right to create anything.
Task<void> make_partitions(pg::Connection& connection, std::string schema) {
  const std::string name = quote_identifier(schema);
  const pg::Statement enough{"migrate_partitions",
                             fmt::format("SELECT count(*) >= 2 FROM {0}.partitions WHERE upper > "
                                         "(SELECT last_value FROM {0}.event_seq)",
                                         name)};
  const pg::Result row = co_await connection.run(enough, {});
  if (row.boolean(0, 0)) co_return;
  std::string sql = migration_settings(schema) + create_first_partitions();
  co_await transact(connection, "making partitions", std::move(sql));
}

}  // namespace

Task<int> migrate(Database& database, std::int64_t partition_rows) {
  if (partition_rows < 1) throw std::runtime_error("partition_rows must be at least 1");
  const std::string schema = database.config().schema;
  const pg::ConnectionPtr connection = co_await database.connect(Profile::general);
  co_await check_server(*connection);
  co_await take_lock(*connection, schema);
  co_await make_schema(*connection, schema);
  const std::optional<AppliedMap> applied = co_await read_applied(*connection, schema);
  compare(applied.value_or(AppliedMap{}), schema);
  const std::vector<const Migration*> missing = pending(applied.value_or(AppliedMap{}));
  bool first = !applied;
  for (const Migration* migration : missing) {
    co_await apply(*connection, schema, *migration, first, partition_rows);
    first = false;
  }
  co_await make_partitions(*connection, schema);
  const pg::Statement unlock{"migrate_unlock", migration_lock("pg_advisory_unlock", schema)};
  co_await connection->run(unlock, {});
  co_return static_cast<int>(missing.size());
}

Task<void> check_schema(Database& database) {
  const std::string schema = database.config().schema;
  const pg::ConnectionPtr connection = co_await database.connect(Profile::general);
  co_await check_server(*connection);
  const std::optional<AppliedMap> applied = co_await read_applied(*connection, schema);
  if (!applied) {
    throw std::runtime_error(fmt::format(
        "database {} has no schema {} of eventhubd: run `eventhubd migrate`, or start with "
        "database.migrate = true",
        database.config().name, schema));
  }
  compare(*applied, schema);
  const std::vector<const Migration*> missing = pending(*applied);
  if (missing.empty()) co_return;
  throw std::runtime_error(
      fmt::format("schema {} lacks migration {:04}_{}: run `eventhubd migrate`", schema,
                  missing.front()->number, missing.front()->name));
}

}  // namespace eventhub::store
