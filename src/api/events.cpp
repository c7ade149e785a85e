// POST /events: headers, body (core/json_event.cpp), then store::Ingest, which returns when the
// event is committed. Answers are made by respond.cpp.
#include "api_impl.hpp"
#include "eventhub/core/fault.hpp"
#include "eventhub/http/digest.hpp"
#include "request_headers.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

// One scope for all producers while there are no API keys, then the name of the key's producer, so
// that a key can be replaced by another of the same producer.
store::IdempotencyKey key_of(const http::Request& request, std::string_view key,
                             const NewEvent& event) {
  const std::string_view scope =
      request.key == nullptr ? std::string_view{} : std::string_view(request.key->producer);
  return {http::digest128({scope, key}),
          http::digest128({event.event_type, event.version, event.organization_id.value_or(""),
                           event.user_id.value_or(""), event.payload})};
}

}  // namespace

Task<http::Response> post_event(ApiPtr api, const http::Request& request) {
  const Mono begun = api->context.clock.mono();
  if (request.count("content-type") > 1) {
    co_return problem(400, "the request has more than one Content-Type");
  }
  if (!is_json(request)) co_return problem(415, "the Content-Type must be application/json");
  auto key = idempotency_key(request);
  if (const auto* error = std::get_if<InputError>(&key)) co_return problem(400, error->detail);

  auto parsed = parse_new_event(request.body, api->depth_max());
  if (const auto* error = std::get_if<InputError>(&parsed)) co_return invalid(*error);
  auto& event = std::get<NewEvent>(parsed);
  EVENTHUB_FAULT_POINT("api.parsed");
  event.traceparent = traceparent(request);

  std::optional<store::IdempotencyKey> hashed;
  if (const auto& text = std::get<0>(key)) hashed = key_of(request, *text, event);
  const std::string type = event.event_type;
  const auto result = co_await api->ingest->accept(std::move(event), hashed);
  if (const auto* error = std::get_if<store::AcceptError>(&result)) co_return not_accepted(*error);
  EVENTHUB_FAULT_POINT("api.after_commit_before_reply");
  const auto& done = std::get<store::Accepted>(result);
  if (!done.replayed) api->context.metrics.event_received(type);
  const auto latency = api->context.clock.mono() - begun;
  co_return accepted(done, std::chrono::duration_cast<Millis>(latency));
}

}  // namespace eventhub::api
