#pragma once
#include <memory>
#include <string>

#include "access.hpp"
#include "database_check.hpp"
#include "eventhub/api/api.hpp"

namespace eventhub::api {

// Which routes a listener has besides those of scope `none`.
struct Serves {
  bool events = true;      // scope publish
  bool management = true;  // scopes read and admin
  bool has(Scope scope) const {
    return scope == Scope::none || (scope == Scope::publish ? events : management);
  }
};

// What the handlers of one listener share. Outlives the server's connections by shared_ptr.
struct Api {
  store::Context& context;
  store::Keys& keys;
  store::Ingest* ingest;  // nullptr: this listener takes no events
  Health& health;
  std::shared_ptr<DatabaseCheck> database;
  Access access;
  Serves serves;
  bool role = true;  // false: the process has no api role, and all it serves has scope `none`
};
using ApiPtr = std::shared_ptr<Api>;

// The handlers, by resource. `request` lives until the task ends.
Task<http::Response> post_event(ApiPtr api, const http::Request& request);   // events.cpp
Task<http::Response> get_keys(ApiPtr api, const http::Request& request);     // keys.cpp
Task<http::Response> post_key(ApiPtr api, const http::Request& request);     // keys.cpp
Task<http::Response> delete_key(ApiPtr api, const http::Request& request);   // keys.cpp
Task<http::Response> get_health(ApiPtr api, const http::Request& request);   // health.cpp
Task<http::Response> get_livez(ApiPtr api, const http::Request& request);    // health.cpp
Task<http::Response> get_readyz(ApiPtr api, const http::Request& request);   // health.cpp
Task<http::Response> get_metrics(ApiPtr api, const http::Request& request);  // health.cpp

}  // namespace eventhub::api
