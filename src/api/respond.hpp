#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "eventhub/core/api_key.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/http/server.hpp"
#include "eventhub/store/ingest.hpp"

namespace eventhub::api {

// Every answer of the API is made here: bodies, statuses of faults, the headers that all of them
// carry.

http::Response json(int status, std::string body);
http::Response plain(int status, std::string body);

// RFC 9457, plus `error` with the detail for clients of the first hub's API.
http::Response problem(int status, std::string_view detail);
// 401: what the client has to send, and which of both is wrong. 403: what its key lacks.
enum class Credentials { missing, wrong };
http::Response unauthorized(Credentials credentials);
http::Response forbidden(Scope wanted);
// 429, and the headers of every answer to a key that has a limit.
http::Response too_many_requests(Seconds retry_in);
std::string rate_headers(const RateLimit& limit, const RateState& state);
// 400 with the place in `errors`.
http::Response invalid(const InputError& error);
http::Response method_not_allowed(std::string_view allow);
// 503 with Retry-After.
http::Response unavailable(std::string_view detail);

http::Response accepted(const store::Accepted& event, std::chrono::milliseconds latency);
http::Response not_accepted(store::AcceptError error);

}  // namespace eventhub::api
