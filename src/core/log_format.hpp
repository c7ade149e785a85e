#pragma once
#include <initializer_list>
#include <string>
#include <string_view>

#include "eventhub/core/log.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub::log {

// 2026-01-31T23:59:59.123Z
void append_time(std::string& out, Time time);

// One line with its newline: JSON {"ts","level","msg",fields...} or text. Control characters,
// quotes and invalid UTF-8 in values are escaped, so that a value can neither end the line nor
// reach the terminal; a value over 4 KiB is cut.
std::string format_line(Format format, Time time, Level level, std::string_view message,
                        std::initializer_list<Field> fields);

}  // namespace eventhub::log
