#pragma once
#include <string>

#include "eventhub/store/database.hpp"

namespace eventhub::store {

// Keywords and settings of a session; `lock_idle_timeout` is for Profile::lock.
pg::ConnectOptions session_options(const DatabaseConfig& config, Profile profile,
                                   Millis lock_idle_timeout);

// "PostgreSQL at host:port, database x, user y": what people need to find a mistake, never the
// password.
std::string describe(const pg::ConnectOptions& options);

}  // namespace eventhub::store
