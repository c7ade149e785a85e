#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "eventhub/core/time.hpp"

namespace eventhub {

// RFC 3339 in UTC with milliseconds, as the API writes times.
std::string format_time(Time time);
// RFC 3339 with any offset; what is finer than microseconds is cut off.
std::optional<Time> parse_time(std::string_view text);

}  // namespace eventhub
