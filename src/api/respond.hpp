#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "eventhub/core/api_key.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/http/server.hpp"
#include "eventhub/pg/error.hpp"
#include "eventhub/store/ingest.hpp"

namespace eventhub::api {

// Every answer of the API is made here: bodies, statuses of faults, the headers that all of them
// carry.

http::Response json(int status, std::string body);
http::Response plain(int status, std::string body);
http::Response no_content();

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
// 422 with the place of each fault.
http::Response unprocessable(std::span<const InputError> errors);
http::Response method_not_allowed(std::string_view allow);
// 503 with Retry-After.
http::Response unavailable(std::string_view detail);

// What a failed statement of a management request is answered with; nullopt when the hub itself is
// at fault.
std::optional<http::Response> database_fault(const pg::Error& error);
// A page of a list: JSON texts, and where the next one begins.
http::Response page(std::span<const std::string> rows, const std::optional<std::string>& next);

// 202: a message goes out again.
http::Response sent_again(const Uuid& message);

http::Response accepted(const store::Accepted& event, std::chrono::milliseconds latency);
http::Response not_accepted(store::AcceptError error);
// An answer for each item of a batch; a 503 when none was stored for a fault that may pass. Places
// of an InputError are those within the item.
using EventOutcome = std::variant<store::Accepted, store::AcceptError, InputError>;
http::Response batch_answer(std::span<const EventOutcome> outcomes,
                            std::chrono::milliseconds latency);

}  // namespace eventhub::api
