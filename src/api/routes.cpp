// The one table of routes and the way from a request to its handler (events.cpp, keys.cpp,
// health.cpp), past the check of who is calling (access.cpp). Counts every request; an exception of
// a handler becomes a 500 here.
#include "routes.hpp"

#include <algorithm>

#include "eventhub/core/log.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::array kRoutes{
    Route{"POST", "/events", post_event, Scope::publish},
    Route{"GET", "/keys", get_keys, Scope::admin},
    Route{"POST", "/keys", post_key, Scope::admin},
    Route{"DELETE", "/keys/{id}", delete_key, Scope::admin},
    Route{"GET", "/health", get_health, Scope::none},
    Route{"GET", "/livez", get_livez, Scope::none},
    Route{"GET", "/readyz", get_readyz, Scope::none},
    Route{"GET", "/metrics", get_metrics, Scope::none},
};

constexpr std::array<std::string_view, 9> kMethods{"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                   "CONNECT", "OPTIONS", "TRACE", "PATCH"};

http::Response refuse(const Match& match) {
  if (match.refusal == 405) return method_not_allowed(match.allow);
  if (match.refusal == 501) return problem(501, "HTTP has no such method");
  return problem(404, "there is nothing at this path");
}

Task<http::Response> run_handler(const Route& route, ApiPtr api, const http::Request& request) {
  try {
    auto response = co_await route.handler(api, request);
    co_return response;
  } catch (const std::exception& error) {
    log::error("a request failed", {{"route", route.path}, {"error", error.what()}});
  }
  api->context.metrics.internal_error("api");
  co_return problem(500, "something went wrong here; the log of this process tells what");
}

// Segment by segment.
bool fits(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = pattern.substr(0, pattern.find('/', 1));
    const std::string_view found = path.substr(0, path.find('/', 1));
    const bool any = wanted.starts_with("/{") && found.size() > 1;
    if (!any && wanted != found) return false;
    pattern.remove_prefix(wanted.size());
    path.remove_prefix(found.size());
  }
  return pattern.empty() && path.empty();
}

// Everything that can be said before the handler runs.
Access::Verdict admit(const Api& api, const Match& match, const http::Request& request, Mono now) {
  if (match.route == nullptr) return {refuse(match), nullptr, {}};
  if (!api.role && match.route->scope != Scope::none) {
    auto elsewhere =
        problem(404, "this process does not serve the API; it runs without the role api");
    return {std::move(elsewhere), nullptr, {}};
  }
  return api.access.check(match.route->scope, request, now);
}

Task<http::Response> handle(ApiPtr api, http::Request& request) {
  const Mono begun = api->context.clock.mono();
  const Match match = find_route(request.method, request.path, api->serves);
  Access::Verdict verdict = admit(*api, match, request, begun);
  request.key = verdict.key.get();
  http::Response response;
  if (verdict.refusal) {
    response = std::move(*verdict.refusal);
  } else {
    response = co_await run_handler(*match.route, api, request);
  }
  response.headers += verdict.headers;
  const std::chrono::duration<double> took = api->context.clock.mono() - begun;
  api->context.metrics.api_request(method_label(request.method), match.label, response.status,
                                   took.count());
  co_return response;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

std::string_view method_label(std::string_view method) {
  const auto* known = std::find(kMethods.begin(), kMethods.end(), method);
  return known == kMethods.end() ? "other" : *known;
}

Match find_route(std::string_view method, std::string_view path, Serves serves) {
  Match match;
  if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) {
    match.refusal = 501;
    return match;
  }
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : kRoutes) {
    if (!serves.has(route.scope) || !fits(route.path, path)) continue;
    match.label = route.path;
    if (route.method == wanted) {
      match.route = &route;
      return match;
    }
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  match.refusal = match.allow.empty() ? 404 : 405;
  return match;
}

http::Handler make_handler(store::Context& context, store::Keys& keys, store::Ingest* ingest,
                           Health& health) {
  const ServerConfig& config = context.config.server;
  const Serves serves{.management = !config.management_on_metrics_port};
  auto api = std::make_shared<Api>(
      Api{context, keys, ingest, health, std::make_shared<DatabaseCheck>(context),
          Access(keys.current(), config, config.bind), serves, ingest != nullptr});
  return [api = std::move(api)](http::Request& request) { return handle(api, request); };
}

http::Handler make_monitor_handler(store::Context& context, store::Keys& keys, Health& health) {
  const ServerConfig& config = context.config.server;
  const Serves serves{.events = false, .management = config.management_on_metrics_port};
  auto api = std::make_shared<Api>(Api{
      context, keys, nullptr, health, std::make_shared<DatabaseCheck>(context),
      Access(keys.current(), config, config.metrics_bind), serves, context.config.has_role("api")});
  return [api = std::move(api)](http::Request& request) { return handle(api, request); };
}

}  // namespace eventhub::api
