// What monitors ask: /health (people and the first hub's clients), /livez and /readyz
// (orchestrators), /metrics. Every role serves them.
#include <fmt/format.h>

#include <algorithm>

#include "api_impl.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

bool asks_verbose(std::string_view query) {
  return query == "verbose" || query.starts_with("verbose=") || query.starts_with("verbose&") ||
         query.find("&verbose") != std::string_view::npos;
}

std::string line(bool good, std::string_view name, std::string_view fault) {
  return good ? fmt::format("[+]{} ok\n", name) : fmt::format("[-]{} failed: {}\n", name, fault);
}

}  // namespace

Task<http::Response> get_health(ApiPtr api, const http::Request&) {
  const bool connected = co_await api->database->answers();
  const Time now = api->context.clock.now();
  const auto up = std::chrono::duration_cast<Seconds>(now - api->health.started).count();
  co_return json(
      connected ? 200 : 503,
      fmt::format(R"({{"status":"{}","timestamp":"{}","uptime":{},"database":"{}"}})",
                  connected ? "healthy" : "unhealthy", rfc3339(now), std::max<std::int64_t>(up, 0),
                  connected ? "connected" : "disconnected"));
}

Task<http::Response> get_livez(ApiPtr, const http::Request&) {
  co_return plain(200, "ok\n");
}

Task<http::Response> get_readyz(ApiPtr api, const http::Request& request) {
  const bool connected = co_await api->database->answers();
  const bool migrated = api->health.migrated;
  const bool serving = !api->health.draining;
  const bool ready = connected && migrated && serving;
  if (ready && !asks_verbose(request.query)) co_return plain(200, "ok\n");
  std::string text = line(connected, "database", "no answer");
  text += line(migrated, "schema", "it is not ready yet");
  text += line(serving, "serving", "the process is stopping");
  text += ready ? "readyz check passed\n" : "readyz check failed\n";
  auto response = plain(ready ? 200 : 503, std::move(text));
  if (!ready) response.headers += "Retry-After: 1\r\n";
  co_return response;
}

Task<http::Response> get_metrics(ApiPtr api, const http::Request&) {
  auto response = plain(200, api->context.metrics.expose());
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  co_return response;
}

}  // namespace eventhub::api
