#pragma once
#include <string>
#include <string_view>

#include "eventhub/http/server.hpp"

namespace eventhub::api {

// Who is calling and from where, for a column like created_by: "key ops, 10.1.2.3".
std::string caller(const http::Request& request);

// The line for a change that somebody made through the API: `action` like "key.create", the id of
// what was changed, and what there is to say of it.
void audit(const http::Request& request, std::string_view action, std::string_view id,
           std::string_view what);

}  // namespace eventhub::api
