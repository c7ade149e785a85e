#pragma once
#include <string>
#include <utility>
#include <vector>

#include "eventhub/core/async.hpp"

namespace eventhub::pg {

// libpq looks a host name up with a call that blocks the whole thread; this does it beforehand and
// adds `hostaddr` with all addresses. Nothing to do for sockets, addresses and lists of hosts.
// Throws pg::Error.
Task<void> resolve_host(std::vector<std::pair<std::string, std::string>>& keywords, Millis limit);

}  // namespace eventhub::pg
