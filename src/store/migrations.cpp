// The texts of the migrations and what is wrapped around them; migrate.cpp runs them.
#include "store/migrations.hpp"

#include <fmt/format.h>

#include "eventhub/core/config.hpp"
#include "store/migrations_sql.hpp"

namespace eventhub::store {
namespace {

std::string quote(std::string_view text, char mark) {
  std::string out(1, mark);
  for (const char c : text) {
    if (c == mark) out += mark;
    out += c;
  }
  return out + mark;
}

std::vector<Migration> load() {
  std::vector<Migration> out;
  for (const MigrationFile& file : migration_files()) {
    out.push_back(
        {file.number, file.name, std::string(file.bytes, file.bytes + file.size), file.checksum});
  }
  return out;
}

}  // namespace

const std::vector<Migration>& migrations() {
  static const std::vector<Migration> all = load();
  return all;
}

std::string quote_identifier(std::string_view name) {
  return quote(name, '"');
}

std::string migration_settings(std::string_view schema) {
  // pg_temp last: functions made here keep this path, and nobody's temporary table may come first.
  // Waiting for a lock holds up everyone who comes after; so give up soon and try again.
  return fmt::format(
      "SET LOCAL search_path TO {}, pg_temp;\n"
      "SET LOCAL lock_timeout TO '1s';\n"
      "SET LOCAL statement_timeout TO 0;\n"
      "SET LOCAL check_function_bodies TO on;\n",
      quote_identifier(schema));
}

std::string create_migrations_table() {
  return "CREATE TABLE schema_migrations (\n"
         "  number     integer PRIMARY KEY,\n"
         "  name       text NOT NULL,\n"
         "  checksum   text NOT NULL,\n"
         "  applied_at timestamptz NOT NULL DEFAULT now()\n"
         ");\n";
}

std::string migration_body(const Migration& migration, std::int64_t partition_rows) {
  std::string out = fmt::format(
      "{}\nINSERT INTO schema_migrations (number, name, checksum) VALUES ({}, '{}', '{}');\n",
      migration.sql, migration.number, migration.name, migration.checksum);
  if (migration.number == migrations().front().number) {
    out += fmt::format("INSERT INTO settings VALUES ('partition_rows', '{}');\n", partition_rows);
  }
  return out;
}

std::string create_first_partitions() {
  return fmt::format(
      "SELECT pg_advisory_xact_lock(to_regnamespace(quote_ident(current_schema()))::oid::int4, "
      "{});\n"
      "DO $$ BEGIN\n"
      "  WHILE (SELECT count(*) FROM partitions WHERE upper > (SELECT last_value FROM event_seq)) "
      "< 2 LOOP\n"
      "    PERFORM create_next_partition();\n"
      "  END LOOP;\n"
      "END $$;\n",
      static_cast<int>(Lock::partitions));
}

std::string migration_lock(std::string_view function, std::string_view schema) {
  return fmt::format("SELECT {}(hashtext({}), {})", function, quote(schema, '\''),
                     static_cast<int>(Lock::migrate));
}

std::string schema_sql(std::string_view schema) {
  std::string out = fmt::format(
      "-- The whole schema of eventhubd {}, for psql: psql -d eventhub -f this-file\n"
      "-- All or nothing. `eventhubd migrate` does the same.\n"
      "\\set ON_ERROR_STOP on\n"
      "SET standard_conforming_strings TO on;\n"
      "BEGIN;\n"
      "{};\n"
      "CREATE SCHEMA IF NOT EXISTS {};\n{}{}",
      EVENTHUB_VERSION, migration_lock("pg_advisory_xact_lock", schema), quote_identifier(schema),
      migration_settings(schema), create_migrations_table());
  for (const Migration& migration : migrations()) {
    out += fmt::format("\n-- ── {:04} {} ──\n", migration.number, migration.name);
    out += migration_body(migration, CleanupConfig{}.partition_rows);
  }
  return out + "\n" + create_first_partitions() + "COMMIT;\n";
}

}  // namespace eventhub::store
