// What has to be known about the server before work begins, and what stops or warns.
#include <stdexcept>

#include "eventhub/core/log.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {
namespace {

const pg::Statement server_facts{
    "server_facts",
    "SELECT (SELECT oid::bigint FROM pg_namespace WHERE nspname = $1),"
    " current_setting('server_encoding'), current_setting('fsync'),"
    " current_setting('full_page_writes'), current_setting('synchronous_commit'),"
    " current_setting('max_connections')::int8, "
    "current_setting('superuser_reserved_connections')::int8"};

void check_version(int version) {
  if (version >= 140'000) return;
  throw std::runtime_error("PostgreSQL 14 or newer is needed; this one is " +
                           std::to_string(version / 10'000));
}

void check_encoding(std::string_view encoding) {
  if (encoding == "UTF8") return;
  throw std::runtime_error(
      "the database has encoding " + std::string(encoding) +
      "; events need UTF8 (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)");
}

void warn_when_off(std::string_view setting, std::string_view value) {
  if (value != "off") return;
  log::warn("the database may lose accepted events in a crash",
            {{"setting", setting}, {"value", value}});
}

void check_room(int wanted, std::int64_t all, std::int64_t reserved) {
  if (wanted <= all - reserved) return;
  throw std::runtime_error("database.connections_max is " + std::to_string(wanted) +
                           ", the server has room for " + std::to_string(all - reserved) +
                           ": lower it or raise max_connections of the server");
}

}  // namespace

Task<void> Database::load() {
  auto connection = co_await lease();
  check_version(connection->server_version());
  const auto facts =
      co_await connection->run(server_facts, std::move(pg::Params().text(config_.schema)));
  if (facts.is_null(0, 0)) {
    throw std::runtime_error("schema " + config_.schema +
                             " does not exist: run `eventhubd migrate`");
  }
  check_encoding(facts.text(0, 1));
  warn_when_off("fsync", facts.text(0, 2));
  warn_when_off("full_page_writes", facts.text(0, 3));
  warn_when_off("synchronous_commit", facts.text(0, 4));
  check_room(config_.connections_max, facts.i64(0, 5), facts.i64(0, 6));
  lock_space_ = static_cast<std::int32_t>(static_cast<std::uint32_t>(facts.i64(0, 0)));
}

}  // namespace eventhub::store
