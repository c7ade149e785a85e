// What has to be known about the database before work begins, and what stops that. What weakens a
// promise is looked at by server_watch.cpp.
#include <stdexcept>

#include "eventhub/store/database.hpp"

namespace eventhub::store {
namespace {

const pg::Statement server_facts{
    "server_facts",
    "SELECT (SELECT oid::bigint FROM pg_namespace WHERE nspname = $1),"
    " current_setting('server_encoding'), current_setting('max_connections')::int8,"
    " current_setting('superuser_reserved_connections')::int8"};

void check_encoding(std::string_view encoding) {
  if (encoding == "UTF8") return;
  throw std::runtime_error(
      "the database has encoding " + std::string(encoding) +
      "; events need UTF8 (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)");
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
  const auto facts =
      co_await connection->run(server_facts, std::move(pg::Params().text(config_.schema)));
  if (facts.is_null(0, 0)) {
    throw std::runtime_error("schema " + config_.schema +
                             " does not exist: run `eventhubd migrate`");
  }
  check_encoding(facts.text(0, 1));
  check_room(config_.connections_max, facts.i64(0, 2), facts.i64(0, 3));
  lock_space_ = static_cast<std::int32_t>(static_cast<std::uint32_t>(facts.i64(0, 0)));
}

}  // namespace eventhub::store
