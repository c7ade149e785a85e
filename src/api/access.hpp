#pragma once
#include <cstdint>

namespace eventhub::api {

// What the caller of a route must be allowed to do.
enum class Scope : std::uint8_t { none, publish, read, admin };

}  // namespace eventhub::api
