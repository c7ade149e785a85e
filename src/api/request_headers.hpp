#pragma once
#include <optional>
#include <string>
#include <variant>

#include "eventhub/core/cloud_event.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/http/server.hpp"

namespace eventhub::api {

// Reading of the request headers that POST /events knows. Pure.

// Whether the body says that it is JSON: application/json, with any parameters.
bool is_json(const http::Request& request);
bool has_media_type(const http::Request& request, std::string_view type);

// The key of Idempotency-Key and X-Idempotency-Key (bare or as a quoted string of RFC 9651): all
// that are present must agree. nullopt when there is none.
std::variant<std::optional<std::string>, InputError> idempotency_key(const http::Request& request);

// A valid W3C trace context as version 00; nullopt for none, several or an invalid one.
std::optional<std::string> traceparent(const http::Request& request);

// How a request carries CloudEvents, if it does.
enum class CloudMode { none, binary, structured, batch };
CloudMode cloud_mode(const http::Request& request);
// Those of the binary mode: the headers ce-…, and the Content-Type as datacontenttype.
std::variant<CloudAttributes, InputError> cloud_attributes(const http::Request& request);

}  // namespace eventhub::api
