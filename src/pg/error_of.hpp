#pragma once
#include <string>
#include <string_view>

#include "eventhub/pg/error.hpp"

struct pg_result;

namespace eventhub::pg {

// The error in a result; `where` names the statement.
Error error_of(const pg_result* result, std::string_view where);
// FATAL and PANIC: the server ends the session after it.
bool ends_session(const pg_result* result);
// libpq's messages have several lines; logs want one.
std::string one_line(std::string_view text);

}  // namespace eventhub::pg
