#pragma once
#include <string>

#include "cli/values.hpp"

namespace eventhub::cli {

// The body of POST /subscribers (`whole`) or PATCH /subscribers/{id} that the options of `create`
// and `update` mean. Throws UsageError.
std::string subscriber_body(const Values& values, bool whole);

// JSON when `text` is that, else the text as a JSON string.
std::string json_or_text(const std::string& text);

}  // namespace eventhub::cli
