// Asks a server what server_check.cpp and `eventhubd doctor` judge. Called by server_watch.cpp and
// cli/doctor_database.cpp.
#include "eventhub/store/server_exam.hpp"

#include "store/server_check.hpp"

namespace eventhub::store {
namespace {

const pg::Statement kServerFacts{
    "server_watch",
    "SELECT clock_timestamp(), current_setting('fsync'), current_setting('full_page_writes'),"
    " current_setting('synchronous_commit'),"
    " (SELECT setting::int8 FROM pg_settings WHERE name = 'statement_timeout')"};

const pg::Statement kServerExam{
    "server_exam",
    "SELECT current_database()::text, current_user::text, current_setting('server_encoding'),"
    " pg_is_in_recovery(), current_setting('max_connections')::int8,"
    " current_setting('superuser_reserved_connections')::int8,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
    " pg_database_size(current_database()), CASE WHEN inet_server_addr() IS NULL THEN"
    "  (SELECT setting FROM pg_settings WHERE name = 'data_directory') END,"
    " to_regnamespace(quote_ident($1)) IS NOT NULL,"
    " has_database_privilege(current_database(), 'CREATE'),"
    " coalesce(has_schema_privilege(to_regnamespace(quote_ident($1)), 'USAGE')"
    "  AND has_schema_privilege(to_regnamespace(quote_ident($1)), 'CREATE'), false)"};

const pg::Statement kTableRights{
    "server_exam_tables",
    "SELECT count(*) FILTER (WHERE NOT pg_has_role(c.relowner, 'USAGE')),"
    " count(*) FILTER (WHERE NOT (has_table_privilege(c.oid, 'SELECT')"
    "  AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')"
    "  AND has_table_privilege(c.oid, 'DELETE'))) FROM pg_class c"
    " WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind IN ('r', 'p')"};

const pg::Statement kReceivers{
    "receivers", "SELECT name, webhook_url, is_active FROM subscribers ORDER BY sid LIMIT $1"};

std::vector<ServerRemark> remarks_on(const ServerFacts& facts, const DatabaseConfig& config) {
  std::vector<ServerRemark> remarks;
  for (Weakness& weakness : weaknesses(facts, config)) {
    const bool stops = !refusal({weakness}, config).empty();
    remarks.push_back(
        {std::move(weakness.setting), std::move(weakness.value), std::move(weakness.harm), stops});
  }
  return remarks;
}

}  // namespace

Task<ServerFacts> read_server_facts(pg::Connection& connection, const Clock& clock) {
  const Time asked = clock.now();
  const Mono begun = clock.mono();
  const pg::Result row = co_await connection.run(kServerFacts, {});
  ServerFacts facts;
  facts.round_trip = std::chrono::duration_cast<Micros>(clock.mono() - begun);
  facts.clock_difference = row.timestamp(0, 0) - (asked + facts.round_trip / 2);
  facts.version = connection.server_version();
  facts.fsync = row.text(0, 1);
  facts.full_page_writes = row.text(0, 2);
  facts.synchronous_commit = row.text(0, 3);
  facts.statement_timeout = Millis{row.i64(0, 4)};
  co_return facts;
}

Task<ServerExam> examine_server(Database& database) {
  const SystemClock clock;
  auto connection = co_await database.lease();
  // The first statement of a connection is prepared as well, which would be taken for its clock's.
  co_await read_server_facts(*connection, clock);
  const ServerFacts facts = co_await read_server_facts(*connection, clock);
  const std::string schema = database.config().schema;
  pg::Params of_schema;
  of_schema.text(schema);
  const pg::Result row = co_await connection->run(kServerExam, of_schema);
  const pg::Result tables = co_await connection->run(kTableRights, std::move(of_schema));
  ServerExam exam;
  exam.version = facts.version;
  exam.clock_difference = facts.clock_difference;
  exam.remarks = remarks_on(facts, database.config());
  exam.database = row.text(0, 0);
  exam.role = row.text(0, 1);
  exam.encoding = row.text(0, 2);
  exam.standby = row.boolean(0, 3);
  exam.connections_max = row.i64(0, 4);
  exam.connections_reserved = row.i64(0, 5);
  exam.connections_used = row.i64(0, 6);
  exam.database_bytes = row.i64(0, 7);
  exam.data_directory = row.optional_text(0, 8);
  exam.schema_exists = row.boolean(0, 9);
  exam.may_create_schema = row.boolean(0, 10);
  exam.may_use_schema = row.boolean(0, 11);
  exam.tables_of_others = tables.i64(0, 0);
  exam.tables_closed = tables.i64(0, 1);
  co_return exam;
}

Task<std::vector<ReceiverRow>> list_receivers(Database& database, std::int64_t limit) {
  auto connection = co_await database.lease();
  pg::Params params;
  params.i64(limit);
  const pg::Result found = co_await connection->run(kReceivers, std::move(params));
  std::vector<ReceiverRow> all;
  for (int row = 0; row < found.rows(); ++row) {
    all.push_back(
        {std::string(found.text(row, 0)), std::string(found.text(row, 1)), found.boolean(row, 2)});
  }
  co_return all;
}

}  // namespace eventhub::store
