// The one table of routes and the way from a request to its handler (a file per resource), past the
// check of who is calling (access.cpp), which comes before the request's body is read. Counts every
// request; an exception of a handler becomes a 500 here.
#include "routes.hpp"

#include <algorithm>

#include "eventhub/core/log.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

// POST /events comes first: it is looked for most often.
constexpr std::array kRoutes{
    Route{"POST", "/events", post_event, Scope::publish},
    Route{"POST", "/events/batch", post_events, Scope::publish},
    Route{"GET", "/health", get_health, Scope::none},
    Route{"GET", "/livez", get_livez, Scope::none},
    Route{"GET", "/readyz", get_readyz, Scope::none},
    Route{"GET", "/metrics", get_metrics, Scope::none},
    Route{"GET", "/openapi.json", get_openapi, Scope::none},
    Route{"GET", "/", get_dashboard, Scope::none},
    Route{"GET", "/dashboard.js", get_dashboard_script, Scope::none},
    Route{"GET", "/dashboard.css", get_dashboard_style, Scope::none},
    Route{"GET", "/keys", get_keys, Scope::admin},
    Route{"POST", "/keys", post_key, Scope::admin},
    Route{"DELETE", "/keys/{id}", delete_key, Scope::admin},
    Route{"GET", "/subscribers", get_subscribers, Scope::read},
    Route{"POST", "/subscribers", post_subscriber, Scope::admin},
    Route{"GET", "/subscribers/{id}", get_subscriber, Scope::read},
    Route{"PATCH", "/subscribers/{id}", patch_subscriber, Scope::admin},
    Route{"DELETE", "/subscribers/{id}", delete_subscriber, Scope::admin},
    Route{"POST", "/subscribers/{id}/pause", pause_subscriber, Scope::admin},
    Route{"POST", "/subscribers/{id}/resume", resume_subscriber, Scope::admin},
    Route{"POST", "/subscribers/{id}/rotate-secret", rotate_secret, Scope::admin},
    Route{"POST", "/subscribers/{id}/test", test_subscriber, Scope::admin},
    Route{"POST", "/subscribers/{id}/replay", replay_events, Scope::admin},
    Route{"POST", "/subscribers/{id}/match", match_subscriber, Scope::read},
    Route{"GET", "/events", get_events, Scope::read},
    Route{"GET", "/events/{id}", get_event, Scope::read},
    Route{"DELETE", "/events/{id}", cancel_event, Scope::publish},
    Route{"DELETE", "/events/{id}/payload", expunge_event, Scope::admin},
    Route{"GET", "/messages", get_messages, Scope::read},
    Route{"GET", "/messages/{id}", get_message, Scope::read},
    Route{"POST", "/messages/{id}/retry", retry_message, Scope::admin},
    Route{"GET", "/dlq", get_dead_letters, Scope::read},
    Route{"POST", "/dlq/retry", retry_dead_letters, Scope::admin},
    Route{"GET", "/dlq/export", export_dead_letters, Scope::read},
    Route{"GET", "/dlq/{id}", get_dead_letter, Scope::read},
    Route{"DELETE", "/dlq/{id}", discard_dead_letter, Scope::admin},
    Route{"POST", "/dlq/{id}/retry", retry_dead_letter, Scope::admin},
};

constexpr std::array<std::string_view, 10> kMethods{
    "GET", "HEAD", "POST", "PUT", "DELETE", "QUERY", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

http::Response refuse(const Match& match) {
  if (match.refusal == 405) return method_not_allowed(match.allow);
  if (match.refusal == 501) return problem(501, "HTTP has no such method");
  return problem(404, "there is nothing at this path");
}

http::Response stopping_answer() {
  auto response = unavailable("this process is stopping; try again");
  response.close = true;
  return response;
}

// Whether this process can serve the API now; if not, the answer that says why.
std::optional<http::Response> not_ready(const Api& api) {
  if (!api.context.config.has_role("api")) {
    return problem(404, "this process does not serve the API; it runs without the role api");
  }
  if (api.health.draining) return stopping_answer();
  if (!api.health.migrated) return unavailable("the database is not ready yet; try again");
  return std::nullopt;
}

Task<http::Response> run_handler(const Route& route, ApiPtr api, const http::Request& request) {
  try {
    auto response = co_await route.handler(api, request);
    co_return response;
  } catch (const Refused& refused) {
    co_return refused.response;
  } catch (const pg::Error& error) {
    log::warn("the database did not answer a request",
              {{"route", route.path}, {"error", error.what()}});
    if (auto response = database_fault(error)) co_return std::move(*response);
  } catch (const std::exception& error) {
    log::error("a request failed", {{"route", route.path}, {"error", error.what()}});
  }
  api->context.metrics.internal_error("api");
  co_return problem(500, "something went wrong here; the log of this process tells what");
}

// Whether a path is what a pattern with {id} describes.
bool fits(std::string_view pattern, std::string_view path) {
  constexpr std::string_view kId = "{id}";
  const std::size_t at = pattern.find(kId);
  if (at == std::string_view::npos || !path.starts_with(pattern.substr(0, at))) return false;
  path.remove_prefix(at);
  const std::size_t end = std::min(path.find('/'), path.size());
  return end > 0 && path.substr(end) == pattern.substr(at + kId.size());
}

// Fills in the route of the path and method; the methods of the path when it has others only.
template <class Fits>
void look(Match& match, std::string_view method, Serves serves, const Fits& fit) {
  for (const Route& route : kRoutes) {
    if (!serves.has(route.scope) || !fit(route)) continue;
    match.label = route.path;
    if (route.method == method) {
      match.route = &route;
      return;
    }
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
}

// Nobody who asks may fill the room for bodies with what is not looked at.
bool has_body(const http::Request& request) {
  const std::string_view length = request.header("content-length");
  return request.count("transfer-encoding") > 0 || !(length.empty() || length == "0");
}

// Everything that can be said before the handler runs.
Access::Verdict judge_by_header(const Api& api, const Match& match, const http::Request& request,
                                Mono now) {
  if (match.route == nullptr) return {refuse(match), nullptr, {}};
  if (match.route->method == "GET" && has_body(request)) {
    return {problem(400, "this takes no body"), nullptr, {}};
  }
  if (match.route->scope != Scope::none) {
    if (auto refusal = not_ready(api)) return {std::move(*refusal), nullptr, {}};
  }
  return api.access.check(match.route->scope, request, now);
}

void count_request(const Api& api, const http::Request& request, std::string_view path,
                   const http::Response& response, Mono begun) {
  const std::chrono::duration<double> took = api.context.clock.mono() - begun;
  api.context.metrics.api_request(method_label(request.method), path, response.status,
                                  took.count());
}

// By the header alone; what it finds out stays with the request.
std::optional<http::Response> admit_request(const Api& api, http::Request& request) {
  const Mono begun = api.context.clock.mono();
  const Match match = find_route(request.method, request.path, api.serves);
  Access::Verdict verdict = judge_by_header(api, match, request, begun);
  request.route = match.route;
  request.key = std::move(verdict.key);
  request.answer_headers = std::move(verdict.headers);
  if (verdict.refusal) {
    verdict.refusal->headers += request.answer_headers;
    count_request(api, request, match.label, *verdict.refusal, begun);
  }
  return std::move(verdict.refusal);
}

// Of a request that was admitted. Its body may have taken so long that the process stops by now.
Task<http::Response> answer_request(ApiPtr api, http::Request& request) {
  const Mono begun = api->context.clock.mono();
  const Route& route = *static_cast<const Route*>(request.route);
  http::Response response;
  if (api->health.draining && route.scope != Scope::none) {
    response = stopping_answer();
  } else {
    response = co_await run_handler(route, api, request);
  }
  response.headers += request.answer_headers;
  count_request(*api, request, route.path, response, begun);
  co_return response;
}

http::Handler handler_of(ApiPtr api) {
  http::Handler::Admit first = [api](http::Request& request) {
    return admit_request(*api, request);
  };
  return {std::move(first),
          [api = std::move(api)](http::Request& request) { return answer_request(api, request); }};
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
  look(match, wanted, serves, [path](const Route& route) { return route.path == path; });
  if (match.route == nullptr && match.allow.empty()) {
    look(match, wanted, serves, [path](const Route& route) { return fits(route.path, path); });
  }
  if (match.route == nullptr) match.refusal = match.allow.empty() ? 404 : 405;
  return match;
}

http::Handler make_handler(store::Context& context, store::Keys& keys, store::Ingest* ingest,
                           Health& health) {
  const ServerConfig& config = context.config.server;
  const Serves serves{.management = !config.management_on_metrics_port};
  auto api = std::make_shared<Api>(context, keys, ingest, health, config.bind, serves);
  return handler_of(std::move(api));
}

http::Handler make_monitor_handler(store::Context& context, store::Keys& keys, Health& health) {
  const ServerConfig& config = context.config.server;
  const Serves serves{.events = false, .management = config.management_on_metrics_port};
  auto api = std::make_shared<Api>(context, keys, nullptr, health, config.metrics_bind, serves);
  return handler_of(std::move(api));
}

}  // namespace eventhub::api
