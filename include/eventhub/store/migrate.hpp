#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/store/database.hpp"

namespace eventhub::store {

// A numbered file of migrations/, compiled into the binary.
struct Migration {
  int number;
  std::string name;
  std::string sql;
  std::string checksum;  // SHA-256 of the text, hex
};
const std::vector<Migration>& migrations();

// The whole schema as SQL (`eventhubd migrate --print`).
std::string schema_sql(std::string_view schema);

// Brings the schema to head under an advisory lock, each migration in one transaction (kill -9
// safe). Throws std::runtime_error when the database is newer than this binary, a checksum differs
// or the encoding is not UTF8. Returns how many were applied. `partition_rows` is fixed by the
// first.
Task<int> migrate(Database& database, std::int64_t partition_rows);
// Throws unless the schema is at head.
Task<void> check_schema(Database& database);

}  // namespace eventhub::store
