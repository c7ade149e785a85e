#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eventhub/core/json.hpp"

namespace eventhub::api {

inline constexpr std::string_view kAuthorization = "Authorization";
// In any case, as header names are.
bool is_authorization(std::string_view header);

// The member `auth` of a subscriber as the value of its header Authorization:
// {"type":"basic","username":…,"password":…} or {"type":"bearer","token":…}. Empty for null.
std::variant<std::string, std::vector<InputError>> read_auth(const JsonValue& value);

}  // namespace eventhub::api
