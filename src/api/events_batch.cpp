// POST /events/batch: many events in one body and one commit, an answer for each. The body is cut
// by core/json_batch.cpp; a fault of an item is the item's, one of the body as a whole the
// request's.
#include <fmt/format.h>

#include "api_impl.hpp"
#include "eventhub/core/fault.hpp"
#include "request_headers.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::string_view kCloudBatch = "application/cloudevents-batch+json";

using BatchTexts = std::vector<std::string_view>;

BatchTexts cut_batch(const http::Request& request, std::size_t items_max) {
  const bool cloud = cloud_mode(request) == CloudMode::batch;
  if (has_media_type(request, "application/x-ndjson")) return split_lines(request.body, items_max);
  if (!is_json(request) && !(cloud && has_media_type(request, kCloudBatch))) {
    throw Refused(problem(415,
                          "the Content-Type must be application/json (an array), "
                          "application/x-ndjson or application/cloudevents-batch+json"));
  }
  auto items = split_json_array(request.body, items_max);
  if (const auto* error = std::get_if<InputError>(&items)) throw Refused(invalid(*error));
  return std::get<BatchTexts>(std::move(items));
}

BatchTexts read_batch(const http::Request& request, int items_max) {
  if (request.count("content-type") > 1) {
    throw Refused(problem(400, "the request has more than one Content-Type"));
  }
  if (request.count("idempotency-key") + request.count("x-idempotency-key") > 0) {
    throw Refused(problem(400,
                          "a batch has no idempotency key of its own: each event has one (the "
                          "member idempotency_key; source and id of a CloudEvent)"));
  }
  const auto most = static_cast<std::size_t>(items_max);
  BatchTexts items = cut_batch(request, most);
  if (items.size() > most) {
    throw Refused(problem(413, fmt::format("a batch has at most {} events", most)));
  }
  return items;
}

std::variant<store::NewRow, InputError> read_item(const http::Request& request,
                                                  std::string_view text, std::size_t depth_max) {
  auto parsed = parse_batch_item(text, depth_max);
  if (auto* error = std::get_if<InputError>(&parsed)) return std::move(*error);
  auto& [event, key] = std::get<BatchItem>(parsed);
  std::optional<store::IdempotencyKey> hashed;
  if (key) hashed = key_of(request, *key, event);
  return store::NewRow{std::move(event), hashed};
}

std::variant<store::NewRow, InputError> read_cloud_item(const http::Request& request,
                                                        std::string_view text,
                                                        std::size_t depth_max) {
  auto parsed = parse_cloud_event(text, depth_max);
  if (auto* error = std::get_if<InputError>(&parsed)) return std::move(*error);
  auto& cloud = std::get<CloudEvent>(parsed);
  const store::IdempotencyKey key = key_of(request, cloud);
  return store::NewRow{std::move(cloud.event), key};
}

// What the items came to, and those of them that can be stored.
struct TakenBatch {
  std::vector<EventOutcome> outcomes;
  std::vector<store::NewRow> rows;
  std::vector<std::size_t> places;  // of each row in `outcomes`
  std::vector<std::string> types;   // of each row
};

TakenBatch take_batch(const Api& api, const http::Request& request, const BatchTexts& items) {
  TakenBatch taken;
  taken.outcomes.assign(items.size(), store::AcceptError::unavailable);
  const std::optional<std::string> trace = traceparent(request);
  const bool cloud = cloud_mode(request) == CloudMode::batch;
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto read = cloud ? read_cloud_item(request, items[i], api.depth_max())
                      : read_item(request, items[i], api.depth_max());
    if (auto* error = std::get_if<InputError>(&read)) {
      taken.outcomes[i] = std::move(*error);
      continue;
    }
    auto& row = std::get<store::NewRow>(read);
    if (auto fault = wrong_times(api, row.event, cloud)) {
      taken.outcomes[i] = std::move(*fault);
      continue;
    }
    if (trace) row.event.traceparent = trace;
    taken.places.push_back(i);
    taken.types.push_back(row.event.event_type);
    taken.rows.push_back(std::move(row));
  }
  return taken;
}

}  // namespace

Task<http::Response> post_events(ApiPtr api, const http::Request& request) {
  const Mono begun = api->context.clock.mono();
  const BatchTexts items = read_batch(request, api->context.config.ingest.request_events_max);
  TakenBatch taken = take_batch(*api, request, items);
  EVENTHUB_FAULT_POINT("api.parsed");
  const std::vector<store::AcceptResult> results =
      co_await api->ingest->accept_all(std::move(taken.rows));
  EVENTHUB_FAULT_POINT("api.after_commit_before_reply");
  for (std::size_t i = 0; i < results.size(); ++i) {
    EventOutcome& outcome = taken.outcomes[taken.places[i]];
    if (const auto* error = std::get_if<store::AcceptError>(&results[i])) {
      outcome = *error;
      continue;
    }
    const auto& done = std::get<store::Accepted>(results[i]);
    outcome = done;
    if (!done.replayed) api->context.metrics.event_received(taken.types[i]);
  }
  const auto latency = api->context.clock.mono() - begun;
  co_return batch_answer(taken.outcomes, std::chrono::duration_cast<Millis>(latency));
}

}  // namespace eventhub::api
