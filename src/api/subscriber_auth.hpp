#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eventhub/core/json.hpp"

namespace eventhub::api {

// The member `auth` of a subscriber as the value of its header Authorization:
// {"type":"basic","username":…,"password":…} or {"type":"bearer","token":…}. Empty for null.
std::variant<std::string, std::vector<InputError>> read_auth(const JsonValue& value);

}  // namespace eventhub::api
