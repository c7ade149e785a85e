#pragma once
#include <memory>

#include "http/server_connection.hpp"

namespace eventhub::http {

// Requests of one connection, one after the other, until either side closes.
Task<void> serve(std::shared_ptr<ServerConnection> connection);

}  // namespace eventhub::http
