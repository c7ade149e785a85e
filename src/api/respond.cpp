// Statuses, bodies and headers of the API's answers, in one place. No refusal repeats what the
// client sent, but for the name of an unknown member or parameter.
#include "respond.hpp"

#include <fmt/format.h>

#include "eventhub/api/api.hpp"

namespace eventhub::api {
namespace {

constexpr std::string_view kHeaders =
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
constexpr std::string_view kQueryCanceled = "57014", kLockNotAvailable = "55P03";
constexpr std::string_view kRetryAfter = "Retry-After: 1\r\n";

http::Response answer(int status, std::string_view type, std::string body) {
  http::Response response;
  response.status = status;
  response.content_type = type;
  response.headers = kHeaders;
  response.body = std::move(body);
  return response;
}

std::string_view title(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 500 ? "Client Error" : "Internal Server Error";
  }
}

// `more`: further members, beginning with a comma.
http::Response problem_with(int status, std::string_view detail, std::string_view more) {
  std::string body = fmt::format(R"({{"type":"about:blank","title":"{}","status":{},"detail":)",
                                 title(status), status);
  append_json_string(body, detail);
  body += R"(,"error":)";
  append_json_string(body, detail);
  body += more;
  body += '}';
  return answer(status, "application/problem+json", std::move(body));
}

std::string errors_member(std::span<const InputError> errors) {
  std::string text = R"(,"errors":[)";
  for (const InputError& error : errors) {
    text += text.ends_with('[') ? R"({"detail":)" : R"(,{"detail":)";
    append_json_string(text, error.detail);
    text += R"(,"pointer":)";
    append_json_string(text, error.pointer);
    text += '}';
  }
  return text + ']';
}

http::Response retry_later(std::string_view detail, std::string_view more) {
  auto response = problem_with(503, detail, more);
  response.headers += kRetryAfter;
  return response;
}

int stored_status(const store::Accepted& event) {
  return event.replayed ? 200 : 202;
}

void append_stored(std::string& out, const store::Accepted& event) {
  fmt::format_to(std::back_inserter(out), R"("event_id":"{}","message":"{}")",
                 to_string(event.event_id),
                 event.replayed ? "Event already exists" : "Event accepted for processing");
}

struct NotStored {
  int status;
  std::string_view detail;
  std::string_view more = {};  // further members, beginning with a comma
};

NotStored not_stored(store::AcceptError error) {
  switch (error) {
    case store::AcceptError::overloaded:
      return {503, "too many events are waiting to be stored; try again later"};
    case store::AcceptError::no_room:
      return {503, "the database is nearly full; nothing was stored; try again later"};
    case store::AcceptError::unknown_outcome:
      return {503,
              "the database connection was lost while the event was stored: it may be stored or "
              "not; send it again with the same idempotency key",
              R"(,"retry_with_same_idempotency_key":true)"};
    case store::AcceptError::key_reused:
      return {422, "this idempotency key was used before with a different request"};
    case store::AcceptError::refused:
      return {400, "the database refuses to store this event"};
    case store::AcceptError::unavailable:
      break;
  }
  return {503, "the database is not available; nothing was stored; try again later"};
}

// The fault that may pass, when it kept every item of a batch from being stored.
std::optional<store::AcceptError> fault_of_all(std::span<const EventOutcome> outcomes) {
  std::optional<store::AcceptError> found;
  for (const EventOutcome& outcome : outcomes) {
    if (std::holds_alternative<store::Accepted>(outcome)) return std::nullopt;
    const auto* error = std::get_if<store::AcceptError>(&outcome);
    if (error != nullptr && not_stored(*error).status == 503) found = *error;
  }
  return found;
}

// The members of an item that was not stored, and the brace after them.
void append_failure(std::string& body, std::size_t index, const EventOutcome& outcome) {
  NotStored fault{400, {}};
  std::string place = fmt::format("#/{}", index);
  if (const auto* error = std::get_if<InputError>(&outcome)) {
    fault.detail = error->detail;
    place += std::string_view(error->pointer).substr(1);
  } else {
    fault = not_stored(std::get<store::AcceptError>(outcome));
    if (fault.status == 422) place += "/idempotency_key";
  }
  body += fmt::format(R"("status":{},"title":"{}","detail":)", fault.status, title(fault.status));
  append_json_string(body, fault.detail);
  body += R"(,"pointer":)";
  append_json_string(body, place);
  body += fault.more;
  body += '}';
}

}  // namespace

http::Response json(int status, std::string body) {
  return answer(status, "application/json", std::move(body));
}

http::Response plain(int status, std::string body) {
  return answer(status, "text/plain; charset=utf-8", std::move(body));
}

http::Response no_content() {
  return answer(204, "", "");
}

http::Response problem(int status, std::string_view detail) {
  return problem_with(status, detail, {});
}

http::Response unauthorized(Credentials credentials) {
  const bool missing = credentials == Credentials::missing;
  auto response = problem(401, missing ? "an API key is needed: Authorization: Bearer KEY"
                                       : "this API key is not known, or it was revoked");
  response.headers += missing ? "WWW-Authenticate: Bearer realm=\"eventhub\"\r\n"
                              : "WWW-Authenticate: Bearer realm=\"eventhub\", "
                                "error=\"invalid_token\"\r\n";
  return response;
}

http::Response forbidden(Scope wanted) {
  auto response = problem(403, fmt::format("this API key lacks the scope {}", to_string(wanted)));
  response.headers += fmt::format(
      "WWW-Authenticate: Bearer realm=\"eventhub\", error=\"insufficient_scope\", "
      "scope=\"{}\"\r\n",
      to_string(wanted));
  return response;
}

http::Response too_many_requests(Seconds retry_in) {
  auto response = problem(429, "this API key has made as many requests as it may; try again later");
  response.headers += fmt::format("Retry-After: {}\r\n", retry_in.count());
  return response;
}

std::string rate_headers(const RateLimit& limit, const RateState& state) {
  return fmt::format(
      "RateLimit-Policy: \"default\";q={};w={}\r\nRateLimit: \"default\";r={};t={}\r\n",
      limit.burst, limit.window().count(), state.remaining, state.full_in.count());
}

http::Response invalid(const InputError& error) {
  return problem_with(400, error.detail, errors_member({&error, 1}));
}

http::Response unprocessable(std::span<const InputError> errors) {
  return problem_with(422, errors.empty() ? "" : errors.front().detail, errors_member(errors));
}

http::Response method_not_allowed(std::string_view allow) {
  auto response = problem(405, "this path does not know this method; see the header Allow");
  response.headers += fmt::format("Allow: {}\r\n", allow);
  return response;
}

http::Response unavailable(std::string_view detail) {
  return retry_later(detail, {});
}

std::optional<http::Response> database_fault(const pg::Error& error) {
  if (error.outcome_unknown) {
    return unavailable("the database connection was lost: what was asked may be done or not");
  }
  if (error.sqlstate == kQueryCanceled) {
    return unavailable("the answer took too long to find; ask for less, or try again later");
  }
  if (error.bad_data()) return problem(422, "the database cannot take a value of this request");
  const bool busy = error.sqlstate.starts_with("53") || error.sqlstate.starts_with("57") ||
                    error.sqlstate.starts_with("40") || error.sqlstate == kLockNotAvailable;
  if (!error.connection_lost && !busy) return std::nullopt;
  return unavailable("the database is not available or busy; try again later");
}

http::Response page(std::span<const std::string> rows, const std::optional<std::string>& next) {
  std::string body = fmt::format(R"({{"data":[{}],"next_cursor":)", fmt::join(rows, ","));
  if (next) {
    append_json_string(body, *next);
  } else {
    body += "null";
  }
  return json(200, body + '}');
}

http::Response sent_again(const Uuid& message) {
  return json(202, fmt::format(R"({{"id":"{}","message":"It is sent again, as the same message"}})",
                               to_string(message)));
}

http::Response accepted(const store::Accepted& event, std::chrono::milliseconds latency) {
  std::string body = "{";
  body.reserve(160);
  append_stored(body, event);
  fmt::format_to(std::back_inserter(body), R"(,"latency_ms":{}}})", latency.count());
  auto response = json(stored_status(event), std::move(body));
  if (event.replayed) response.headers += "Idempotency-Replayed: true\r\n";
  return response;
}

http::Response not_accepted(store::AcceptError error) {
  const NotStored fault = not_stored(error);
  if (fault.status == 503) return retry_later(fault.detail, fault.more);
  return problem(fault.status, fault.detail);
}

http::Response batch_answer(std::span<const EventOutcome> outcomes,
                            std::chrono::milliseconds latency) {
  if (const auto error = fault_of_all(outcomes)) return not_accepted(*error);
  std::string body = R"({"data":[)";
  std::size_t failed = 0;
  for (std::size_t index = 0; index < outcomes.size(); ++index) {
    body += fmt::format(R"({}{{"index":{},)", index == 0 ? "" : ",", index);
    if (const auto* event = std::get_if<store::Accepted>(&outcomes[index])) {
      body += fmt::format(R"("status":{},)", stored_status(*event));
      append_stored(body, *event);
      body += '}';
    } else {
      append_failure(body, index, outcomes[index]);
      ++failed;
    }
  }
  body += fmt::format(R"(],"stored":{},"failed":{},"latency_ms":{}}})", outcomes.size() - failed,
                      failed, latency.count());
  return json(200, std::move(body));
}

http::Refusal make_refusal() {
  return [](int status, std::string_view detail) {
    return status == 503 ? unavailable(detail) : problem(status, detail);
  };
}

}  // namespace eventhub::api
