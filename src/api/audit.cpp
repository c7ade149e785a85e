// Who changes something through the API, for the log and for the columns that keep it. Called by
// the handlers that change something (keys.cpp).
#include "audit.hpp"

#include <fmt/format.h>

#include "eventhub/core/api_key.hpp"
#include "eventhub/core/log.hpp"

namespace eventhub::api {
namespace {

std::string who(const http::Request& request) {
  return request.key == nullptr ? "anybody" : "key " + request.key->name;
}

}  // namespace

std::string caller(const http::Request& request) {
  return fmt::format("{}, {}", who(request), request.peer);
}

void audit(const http::Request& request, std::string_view action, std::string_view id,
           std::string_view what) {
  log::audit({.action = action, .id = id, .what = what, .by = who(request), .from = request.peer});
}

}  // namespace eventhub::api
