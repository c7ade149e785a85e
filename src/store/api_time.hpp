#pragma once
#include <string>

namespace eventhub::store {

// SQL: a timestamptz as the API writes times (core's format_time).
inline std::string api_time(const std::string& expression) {
  return "to_char(" + expression + R"( AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))";
}

}  // namespace eventhub::store
