// POST /events: headers, body (core/json_event.cpp, core/cloud_event.cpp), then store::Ingest,
// which returns when the event is committed. Answers are made by respond.cpp.
#include "api_impl.hpp"
#include "eventhub/core/cloud_event.hpp"
#include "eventhub/core/event_times.hpp"
#include "eventhub/core/fault.hpp"
#include "eventhub/http/digest.hpp"
#include "request_headers.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

using ReadEvent = std::variant<store::NewRow, http::Response>;

Uuid fingerprint_of(const NewEvent& event) {
  return http::digest128({event.event_type, event.version, event.organization_id.value_or(""),
                          event.user_id.value_or(""), event.payload});
}

// One scope for all producers while there are no API keys, then the name of the key's producer, so
// that a key can be replaced by another of the same producer.
std::string_view scope_of(const http::Request& request) {
  return request.key == nullptr ? std::string_view{} : std::string_view(request.key->producer);
}

ReadEvent read_event(const http::Request& request, std::size_t depth_max) {
  if (!is_json(request)) return problem(415, "the Content-Type must be application/json");
  auto key = idempotency_key(request);
  if (const auto* error = std::get_if<InputError>(&key)) return problem(400, error->detail);
  auto parsed = parse_new_event(request.body, depth_max);
  if (const auto* error = std::get_if<InputError>(&parsed)) return invalid(*error);
  store::NewRow row{std::get<NewEvent>(std::move(parsed)), std::nullopt};
  if (const auto& text = std::get<0>(key)) row.key = key_of(request, *text, row.event);
  return row;
}

std::variant<CloudEvent, InputError> parse_cloud(const http::Request& request, CloudMode mode,
                                                 std::size_t depth_max) {
  if (mode == CloudMode::structured) return parse_cloud_event(request.body, depth_max);
  auto attributes = cloud_attributes(request);
  if (auto* error = std::get_if<InputError>(&attributes)) return std::move(*error);
  return make_cloud_event(std::get<CloudAttributes>(attributes), request.body, depth_max);
}

ReadEvent read_cloud_event(const http::Request& request, CloudMode mode, std::size_t depth_max) {
  const bool structured = mode == CloudMode::structured;
  if (structured && !has_media_type(request, "application/cloudevents+json")) {
    return problem(415, "of the formats of CloudEvents only application/cloudevents+json is known");
  }
  if (request.count("idempotency-key") + request.count("x-idempotency-key") > 0) {
    return problem(400, "the source and id of a CloudEvent are its idempotency key");
  }
  auto parsed = parse_cloud(request, mode, depth_max);
  if (const auto* error = std::get_if<InputError>(&parsed)) {
    if (structured || error->pointer == "#") return invalid(*error);
    if (error->pointer == "#/datacontenttype") {
      return problem(415, "the Content-Type of a CloudEvent must be one of JSON");
    }
    return problem(400, "header ce-" + error->pointer.substr(2) + ": " + error->detail);
  }
  auto& cloud = std::get<CloudEvent>(parsed);
  const store::IdempotencyKey key = key_of(request, cloud);
  return store::NewRow{std::move(cloud.event), key};
}

http::Response untimely(const InputError& fault, CloudMode mode) {
  if (mode != CloudMode::binary) return invalid(fault);
  return problem(400, "header ce-" + fault.pointer.substr(2) + ": " + fault.detail);
}

Task<http::Response> refuse(http::Response response) {
  co_return response;
}

Task<http::Response> accept_event(ApiPtr api, store::NewRow row, Mono begun) {
  EVENTHUB_FAULT_POINT("api.parsed");
  const std::string type = row.event.event_type;
  const auto result = co_await api->ingest->accept(std::move(row.event), row.key);
  if (const auto* error = std::get_if<store::AcceptError>(&result)) co_return not_accepted(*error);
  EVENTHUB_FAULT_POINT("api.after_commit_before_reply");
  const auto& done = std::get<store::Accepted>(result);
  if (!done.replayed) api->context.metrics.event_received(type);
  const auto latency = api->context.clock.mono() - begun;
  co_return accepted(done, std::chrono::duration_cast<Millis>(latency));
}

}  // namespace

std::optional<InputError> wrong_times(const Api& api, const NewEvent& event, bool cloud) {
  if (!event.timed()) return std::nullopt;
  const Seconds ahead = api.context.config.ingest.deliver_after_max;
  return eventhub::wrong_times(event, {api.context.clock.now(), ahead, cloud});
}

store::IdempotencyKey key_of(const http::Request& request, std::string_view key,
                             const NewEvent& event) {
  return {http::digest128({scope_of(request), key}), fingerprint_of(event)};
}

store::IdempotencyKey key_of(const http::Request& request, const CloudEvent& cloud) {
  return {http::digest128({scope_of(request), cloud.source, cloud.id}),
          fingerprint_of(cloud.event)};
}

// Only accept_event() waits, so only its frame has to be kept.
Task<http::Response> post_event(ApiPtr api, const http::Request& request) {
  const Mono begun = api->context.clock.mono();
  if (request.count("content-type") > 1) {
    return refuse(problem(400, "the request has more than one Content-Type"));
  }
  const CloudMode mode = cloud_mode(request);
  if (mode == CloudMode::batch) return post_events(std::move(api), request);
  ReadEvent read = mode == CloudMode::none ? read_event(request, api->depth_max())
                                           : read_cloud_event(request, mode, api->depth_max());
  if (auto* refusal = std::get_if<http::Response>(&read)) return refuse(std::move(*refusal));
  auto& row = std::get<store::NewRow>(read);
  if (const auto fault = wrong_times(*api, row.event, mode != CloudMode::none)) {
    return refuse(untimely(*fault, mode));
  }
  if (auto trace = traceparent(request)) row.event.traceparent = std::move(trace);
  return accept_event(std::move(api), std::move(row), begun);
}

}  // namespace eventhub::api
