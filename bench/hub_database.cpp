// Subscribers and counters by SQL.
#include "bench/hub_database.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <stdexcept>

namespace eventhub::bench {
namespace {

constexpr std::string_view kCreator = "eventhub_bench";

std::string row(const Shape& shape, std::uint8_t kind, std::uint32_t subscriber,
                const std::string& url) {
  const bool ordered = shape.ordered(subscriber);
  return fmt::format("('bench {}', '{}', '{}', '{}', {}, {}, '{}')", subscriber,
                     pattern(shape, kind, subscriber), url,
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
          row(shape, static_cast<std::uint8_t>(kind), subscriber, receiver_url(ports, subscriber));
    }
  }
  const auto made = query(sql + " RETURNING sid");
  first_sid_ = std::stoll(made.front().at(0));
  last_sid_ = std::stoll(made.back().at(0));
}

void HubDatabase::add_subscriber(std::uint32_t number, const std::vector<std::string>& types,
                                 const std::string& url) {
  query(fmt::format(
      "INSERT INTO subscribers (name, event_types, webhook_url, retry_limit, "
      "retry_backoff_seconds, created_by) VALUES ('bench {}', '{{{}}}', '{}', 100, '{{60}}', '{}')",
      number, fmt::join(types, ","), url, kCreator));
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

std::int64_t HubDatabase::last_event() {
  return number("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_seq");
}

// The bound is in the text, so that only partitions from there on are read.
std::int64_t HubDatabase::ended(std::int64_t after_event) {
  return number(fmt::format(
      "SELECT count(*) FROM delivery_attempts WHERE event_seq > {} AND sid BETWEEN {} AND {} "
      "AND outcome_name(outcome) NOT IN ('retry', 'started')",
      after_event, first_sid_, last_sid_));
}

void HubDatabase::execute(const std::string& sql) {
  query(sql);
}

std::int64_t HubDatabase::number(const std::string& sql) {
  const auto rows = query(sql);
  if (rows.empty() || rows[0].empty() || rows[0][0].empty()) {
    throw std::runtime_error("the database answered no number: " + sql);
  }
  return std::stoll(rows[0][0]);
}

void HubDatabase::hold_transaction() {
  query("SET idle_in_transaction_session_timeout = 0");
  query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  query("SELECT pg_current_xact_id(), count(*) FROM subscribers");
}

void HubDatabase::end_transaction() {
  if (PQtransactionStatus(connection_.get()) != PQTRANS_INTRANS) {
    throw std::runtime_error("the open transaction had ended early");
  }
  query("COMMIT");
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

std::string receiver_url(const std::vector<std::uint16_t>& ports, std::uint32_t subscriber) {
  return fmt::format("http://127.0.0.1:{}/s/{}", ports[subscriber % ports.size()], subscriber);
}

void checkpoint(const std::string& conninfo) {
  HubDatabase(conninfo).execute("CHECKPOINT");
}

}  // namespace eventhub::bench
