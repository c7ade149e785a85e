// The one table of routes and the way from a request to its handler (events.cpp, health.cpp).
// Counts every request; an exception of a handler becomes a 500 here.
#include "routes.hpp"

#include <algorithm>

#include "eventhub/core/log.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

// The first is the API, the others are for monitors.
constexpr std::array kRoutes{
    Route{"POST", "/events", post_event},  Route{"GET", "/health", get_health},
    Route{"GET", "/livez", get_livez},     Route{"GET", "/readyz", get_readyz},
    Route{"GET", "/metrics", get_metrics},
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

Task<http::Response> handle(ApiPtr api, const http::Request& request) {
  const Mono begun = api->context.clock.mono();
  const Match match =
      find_route(request.method, request.path, api->monitor ? monitor_routes() : routes());
  http::Response response;
  if (match.route != nullptr) {
    response = co_await run_handler(*match.route, api, request);
  } else {
    response = refuse(match);
  }
  const std::chrono::duration<double> took = api->context.clock.mono() - begun;
  api->context.metrics.api_request(method_label(request.method), match.label, response.status,
                                   took.count());
  co_return response;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

std::span<const Route> monitor_routes() {
  return std::span(kRoutes).subspan(1);
}

std::string_view method_label(std::string_view method) {
  const auto* known = std::find(kMethods.begin(), kMethods.end(), method);
  return known == kMethods.end() ? "other" : *known;
}

Match find_route(std::string_view method, std::string_view path, std::span<const Route> among) {
  Match match;
  if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) {
    match.refusal = 501;
    return match;
  }
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : among) {
    if (route.path != path) continue;
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

http::Handler make_handler(store::Context& context, store::Ingest* ingest, Health& health) {
  auto database = std::make_shared<DatabaseCheck>(context);
  auto api = std::make_shared<Api>(Api{context, ingest, health, std::move(database)});
  return [api = std::move(api)](const http::Request& request) { return handle(api, request); };
}

http::Handler make_monitor_handler(store::Context& context, Health& health) {
  auto database = std::make_shared<DatabaseCheck>(context);
  auto api = std::make_shared<Api>(Api{context, nullptr, health, std::move(database), true});
  return [api = std::move(api)](const http::Request& request) { return handle(api, request); };
}

}  // namespace eventhub::api
