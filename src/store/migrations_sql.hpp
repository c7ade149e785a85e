#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "eventhub/store/migrate.hpp"

namespace eventhub::store {

// The oldest PostgreSQL that has minmax_multi indexes.
inline constexpr int kServerVersionMin = 140'000;

std::string quote_identifier(std::string_view name);
// Settings of the transaction around migrations of `schema`.
std::string migration_settings(std::string_view schema);
std::string create_migrations_table();
// The migration, its row, and with the first one the facts fixed by it.
std::string migration_body(const Migration& migration, std::int64_t partition_rows);
// Makes partitions until the next event has one and one more exists.
std::string create_first_partitions();
// The lock that lets one process migrate at a time, as a condition on `function`.
std::string migration_lock(std::string_view function, std::string_view schema);

}  // namespace eventhub::store
