#pragma once
#include <vector>

#include "eventhub/core/config_check.hpp"

namespace eventhub::app {

// What the option table cannot judge: connection strings, addresses, certificates.
std::vector<ConfigCheck> config_checks();

}  // namespace eventhub::app
