// Subscribers and counters by SQL.
#include "bench/hub_database.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <stdexcept>

namespace eventhub::bench {
namespace {

constexpr std::string_view kCreator = "eventhub_bench";

std::string row(const Shape& shape, std::uint8_t kind, std::uint32_t subscriber,
                std::uint16_t port) {
  const bool ordered = shape.ordered(subscriber);
  return fmt::format("('bench {0}', '{1}', 'http://127.0.0.1:{2}/s/{0}', '{3}', {4}, {5}, '{6}')",
                     subscriber, pattern(shape, kind, subscriber), port,
                     shape.at_most_once ? "at_most_once" : "at_least_once", ordered,
                     ordered ? "'organization_id'" : "NULL", kCreator);
}

}  // namespace

HubDatabase::HubDatabase(const std::string& conninfo)
    : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    throw std::runtime_error(std::string("--database: ") + PQerrorMessage(connection_.get()));
  }
  query("SET search_path = eventhub");
}

std::vector<HubDatabase::Row> HubDatabase::query(const std::string& sql) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
      PQexec(connection_.get(), sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    throw std::runtime_error(std::string("the database: ") + PQerrorMessage(connection_.get()));
  }
  std::vector<Row> rows;
  for (int r = 0; r < PQntuples(result.get()); ++r) {
    Row& cells = rows.emplace_back();
    for (int c = 0; c < PQnfields(result.get()); ++c) {
      cells.emplace_back(PQgetvalue(result.get(), r, c));
    }
  }
  return rows;
}

void HubDatabase::subscribe(const Shape& shape, const std::vector<std::uint16_t>& ports) {
  unsubscribe();
  std::string sql =
      "INSERT INTO subscribers (name, event_type, webhook_url, delivery_guarantee, "
      "ordering_enabled, ordering_key, created_by) VALUES ";
  std::uint32_t subscriber = 0;
  for (std::size_t kind = 0; kind < shape.kinds.size(); ++kind) {
    for (std::uint32_t i = 0; i < shape.kinds[kind].count; ++i, ++subscriber) {
      if (subscriber > 0) sql += ", ";
      sql +=
          row(shape, static_cast<std::uint8_t>(kind), subscriber, ports[subscriber % ports.size()]);
    }
  }
  query(sql);
}

void HubDatabase::unsubscribe() {
  query(fmt::format("DELETE FROM subscribers WHERE created_by = '{}'", kCreator));
}

HubDatabase::Counters HubDatabase::counters() {
  const auto rows = query(
      "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn,"
      " pg_snapshot_xmax(pg_current_snapshot())::text,"
      " (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())");
  return {std::stoll(rows.at(0).at(0)), std::stoll(rows[0].at(1)), std::stoll(rows[0].at(2))};
}

HubDatabase::Progress HubDatabase::progress() {
  const auto rows = query(
      "SELECT (SELECT count(*) FROM messages),"
      " (SELECT count(*) FROM delivery_attempts WHERE outcome_name(outcome) NOT IN"
      "   ('retry', 'started')),"
      " (SELECT count(*) FROM dead_letter_queue)");
  return {std::stoll(rows.at(0).at(0)), std::stoll(rows[0].at(1)), std::stoll(rows[0].at(2))};
}

std::vector<std::pair<std::string, std::string>> HubDatabase::settings() {
  const auto rows = query(
      "SELECT name, current_setting(name) FROM pg_settings WHERE name IN ('server_version', "
      "'fsync',"
      " 'synchronous_commit', 'wal_compression', 'full_page_writes', 'shared_buffers',"
      " 'wal_level') ORDER BY name");
  std::vector<std::pair<std::string, std::string>> settings;
  for (const Row& cells : rows) settings.emplace_back(cells.at(0), cells.at(1));
  return settings;
}

pid_t HubDatabase::backend() const {
  return PQbackendPID(connection_.get());
}

}  // namespace eventhub::bench
