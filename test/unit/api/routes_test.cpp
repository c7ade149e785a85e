// Which requests find a handler, and the shape of every answer.
#include "api/routes.hpp"

#include <map>

#include "api/respond.hpp"
#include "support/catch.hpp"

namespace eventhub::api {
namespace {

bool well_formed(const http::Response& response) {
  return !validate_json(response.body, 8).has_value();
}

TEST_CASE("the port for monitors has no events, and management only when it is meant to") {
  constexpr Serves kMonitor{.events = false, .management = false};
  constexpr Serves kManagement{.events = false, .management = true};
  constexpr Serves kEvents{.events = true, .management = false};
  for (const Serves serves : {kMonitor, kManagement, kEvents}) {
    for (const char* path : {"/health", "/livez", "/readyz", "/metrics", "/openapi.json"}) {
      CHECK(find_route("GET", path, serves).route != nullptr);
    }
    CHECK((find_route("POST", "/events", serves).route != nullptr) == serves.events);
    CHECK(find_route("GET", "/dlq", serves).refusal == (serves.management ? 0 : 404));
  }
}

TEST_CASE("every route says what a key must allow") {
  std::map<std::string, Scope> scopes;
  for (const Route& route : routes()) {
    scopes[std::string(route.method) + " " + std::string(route.path)] = route.scope;
  }
  CHECK(scopes == std::map<std::string, Scope>{
                      {"POST /events", Scope::publish},
                      {"POST /events/batch", Scope::publish},
                      {"GET /health", Scope::none},
                      {"GET /livez", Scope::none},
                      {"GET /readyz", Scope::none},
                      {"GET /metrics", Scope::none},
                      {"GET /openapi.json", Scope::none},
                      {"GET /", Scope::none},
                      {"GET /dashboard.js", Scope::none},
                      {"GET /dashboard.css", Scope::none},
                      {"GET /keys", Scope::admin},
                      {"POST /keys", Scope::admin},
                      {"DELETE /keys/{id}", Scope::admin},
                      {"GET /subscribers", Scope::read},
                      {"POST /subscribers", Scope::admin},
                      {"GET /subscribers/{id}", Scope::read},
                      {"PATCH /subscribers/{id}", Scope::admin},
                      {"DELETE /subscribers/{id}", Scope::admin},
                      {"POST /subscribers/{id}/pause", Scope::admin},
                      {"POST /subscribers/{id}/rotate-secret", Scope::admin},
                      {"POST /subscribers/{id}/resume", Scope::admin},
                      {"POST /subscribers/{id}/test", Scope::admin},
                      {"GET /events", Scope::read},
                      {"GET /events/{id}", Scope::read},
                      {"DELETE /events/{id}", Scope::publish},
                      {"DELETE /events/{id}/payload", Scope::admin},
                      {"POST /subscribers/{id}/replay", Scope::admin},
                      {"POST /subscribers/{id}/match", Scope::read},
                      {"GET /messages", Scope::read},
                      {"GET /messages/{id}", Scope::read},
                      {"POST /messages/{id}/retry", Scope::admin},
                      {"GET /dlq", Scope::read},
                      {"POST /dlq/retry", Scope::admin},
                      {"GET /dlq/export", Scope::read},
                      {"GET /dlq/{id}", Scope::read},
                      {"DELETE /dlq/{id}", Scope::admin},
                      {"POST /dlq/{id}/retry", Scope::admin},
                  });
}

TEST_CASE("a segment in braces stands for any one") {
  CHECK(find_route("DELETE", "/keys/x").label == "/keys/{id}");
  CHECK(find_route("DELETE", "/keys/%7e").route != nullptr);
  for (const char* path : {"/keys/", "/keys//", "/keys/x/", "/keys/x/y", "/keysx/x", "/keys"}) {
    INFO(path);
    CHECK(find_route("DELETE", path).route == nullptr);
  }
}

TEST_CASE("a request finds its route or a precise refusal") {
  for (const Route& route : routes()) {
    CHECK(find_route(route.method, route.path).route == &route);
    CHECK(find_route("OPTIONS", route.path).refusal == 405);
  }
  CHECK(find_route("HEAD", "/health").route == find_route("GET", "/health").route);
  CHECK(find_route("HEAD", "/dlq/retry").refusal == 405);
  CHECK(find_route("PUT", "/events").allow == "POST, GET, HEAD");
  CHECK(find_route("GET", "/dlq/export").label == "/dlq/export");
  CHECK(find_route("POST", "/health").allow == "GET, HEAD");
  CHECK(find_route("QUERY", "/events").refusal == 405);
  for (const char* path :
       {"/x", "/event", "/events/", "//events", "/Events", "/%65vents", "/health/x"}) {
    INFO(path);
    CHECK(find_route("GET", path).refusal == 404);
    CHECK(find_route("GET", path).label == "unmatched");
  }
  for (const char* method : {"FOO", "get", "", "POSTS"}) {
    CHECK(find_route(method, "/events").refusal == 501);
    CHECK(method_label(method) == "other");
  }
  CHECK(method_label("PATCH") == "PATCH");
}

TEST_CASE("a segment of the path may be an id, and the metric's label does not repeat it") {
  const auto one = find_route("GET", "/subscribers/123");
  REQUIRE(one.route != nullptr);
  CHECK(one.label == "/subscribers/{id}");
  CHECK(find_route("POST", "/subscribers/123/pause").label == "/subscribers/{id}/pause");
  CHECK(find_route("POST", "/subscribers/123").allow == "GET, HEAD, PATCH, DELETE");
  CHECK(find_route("GET", "/subscribers/123/pause").allow == "POST");
  for (const char* path : {"/subscribers/", "/subscribers//", "/subscribers//pause",
                           "/subscribers/1/", "/subscribers/1/2", "/subscribers/1/pause/"}) {
    INFO(path);
    CHECK(find_route("GET", path).refusal == 404);
  }
}

TEST_CASE("a fault of the database is for later, another one is ours") {
  const auto status = [](std::string state, bool lost, bool unknown) {
    const auto response = database_fault(pg::Error("x", std::move(state), lost, unknown));
    return response ? response->status : 0;
  };
  CHECK(status("", true, false) == 503);
  CHECK(status("", true, true) == 503);
  for (const char* state : {"53300", "57014", "57P01", "40001", "55P03"}) {
    INFO(state);
    CHECK(status(state, false, false) == 503);
  }
  CHECK(status("22008", false, false) == 422);
  CHECK(status("42601", false, false) == 0);
}

TEST_CASE("problems are RFC 9457 with the first hub's error member") {
  const auto bad = invalid({"event_type is \"required\"", "#/event_type"});
  CHECK(bad.status == 400);
  CHECK(bad.content_type == "application/problem+json");
  CHECK(bad.body ==
        R"({"type":"about:blank","title":"Bad Request","status":400,)"
        R"("detail":"event_type is \"required\"","error":"event_type is \"required\"",)"
        R"("errors":[{"detail":"event_type is \"required\"","pointer":"#/event_type"}]})");
  const std::array<InputError, 2> two{InputError{"a", "#/a"}, InputError{"b", "#/b"}};
  CHECK(unprocessable(two).status == 422);
  CHECK(unprocessable(two).body.ends_with(R"("errors":[{"detail":"a","pointer":"#/a"},)"
                                          R"({"detail":"b","pointer":"#/b"}]})"));
  const std::array<std::string, 2> rows{R"({"a":1})", "{}"};
  CHECK(page(rows, "c").body == R"({"data":[{"a":1},{}],"next_cursor":"c"})");
  CHECK(page({}, std::nullopt).body == R"({"data":[],"next_cursor":null})");
  for (const int status :
       {400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 417, 422, 429, 431, 500, 501, 503, 505}) {
    const auto response = make_refusal()(status, "a \"detail\"\n");
    CHECK(response.status == status);
    CHECK(well_formed(response));
    CHECK(response.headers.find("Cache-Control: no-store\r\n") != std::string::npos);
    CHECK(response.headers.find("X-Content-Type-Options: nosniff\r\n") != std::string::npos);
    CHECK((response.headers.find("Retry-After: 1\r\n") != std::string::npos) == (status == 503));
  }
  CHECK(method_not_allowed("POST").headers.find("Allow: POST\r\n") != std::string::npos);
}

TEST_CASE("401 says what to send, 403 what the key lacks") {
  const auto missing = unauthorized(Credentials::missing);
  CHECK(missing.status == 401);
  CHECK(missing.content_type == "application/problem+json");
  CHECK(missing.body == R"({"type":"about:blank","title":"Unauthorized","status":401,)"
                        R"("detail":"an API key is needed: Authorization: Bearer KEY",)"
                        R"("error":"an API key is needed: Authorization: Bearer KEY"})");
  CHECK(missing.headers.find("WWW-Authenticate: Bearer realm=\"eventhub\"\r\n") !=
        std::string::npos);
  const auto wrong = unauthorized(Credentials::wrong);
  CHECK(wrong.status == 401);
  CHECK(wrong.headers.find("WWW-Authenticate: Bearer realm=\"eventhub\", "
                           "error=\"invalid_token\"\r\n") != std::string::npos);
  const auto lacking = forbidden(Scope::publish);
  CHECK(lacking.status == 403);
  CHECK(lacking.body == R"({"type":"about:blank","title":"Forbidden","status":403,)"
                        R"("detail":"this API key lacks the scope publish",)"
                        R"("error":"this API key lacks the scope publish"})");
  CHECK(lacking.headers.find("error=\"insufficient_scope\", scope=\"publish\"\r\n") !=
        std::string::npos);
}

TEST_CASE("each outcome of an event has its status") {
  using store::AcceptError;
  const auto status = [](AcceptError error) {
    const auto response = not_accepted(error);
    CHECK(well_formed(response));
    return response.status;
  };
  CHECK(status(AcceptError::overloaded) == 503);
  CHECK(status(AcceptError::unavailable) == 503);
  CHECK(status(AcceptError::unknown_outcome) == 503);
  CHECK(status(AcceptError::key_reused) == 422);
  CHECK(status(AcceptError::refused) == 400);
  const auto unknown = not_accepted(AcceptError::unknown_outcome);
  CHECK(unknown.body.find(R"("retry_with_same_idempotency_key":true)") != std::string::npos);
  CHECK(unknown.headers.find("Retry-After: 1\r\n") != std::string::npos);
  CHECK(not_accepted(AcceptError::unavailable).body.find("retry_with") == std::string::npos);
  const auto first = accepted({Uuid{}, false}, Millis{8});
  CHECK(first.status == 202);
  CHECK(first.body == R"({"event_id":"00000000-0000-0000-0000-000000000000",)"
                      R"("message":"Event accepted for processing","latency_ms":8})");
  const auto replay = accepted({Uuid{}, true}, Millis{0});
  CHECK(replay.status == 200);
  CHECK(replay.body == R"({"event_id":"00000000-0000-0000-0000-000000000000",)"
                       R"("message":"Event already exists","latency_ms":0})");
  CHECK(replay.headers.find("Idempotency-Replayed: true\r\n") != std::string::npos);
}

}  // namespace
}  // namespace eventhub::api
