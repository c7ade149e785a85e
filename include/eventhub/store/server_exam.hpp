#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/store/database.hpp"

namespace eventhub::store {

// A setting of the server that weakens what the hub promises, or stops its start.
struct ServerRemark {
  std::string setting, value, harm;
  bool stops = false;
};

// What `eventhubd doctor` asks a database for.
struct ServerExam {
  int version = 0;  // 150020
  std::string database, role, encoding;
  bool standby = false;
  Micros clock_difference{0};
  std::vector<ServerRemark> remarks;
  std::int64_t connections_max = 0, connections_reserved = 0, connections_used = 0;
  std::int64_t database_bytes = 0;
  // Of a server on this machine whose directory our role may know.
  std::optional<std::string> data_directory;
  bool schema_exists = false;
  bool may_create_schema = false;     // in the database
  bool may_use_schema = false;        // and make tables in it
  std::int64_t tables_of_others = 0;  // only an owner makes partitions and migrates
  std::int64_t tables_closed = 0;     // not to be read and written by our role
};
Task<ServerExam> examine_server(Database& database);

struct ReceiverRow {
  std::string name, url;
  bool active = true;
};
// The first `limit` subscribers.
Task<std::vector<ReceiverRow>> list_receivers(Database& database, std::int64_t limit);

}  // namespace eventhub::store
