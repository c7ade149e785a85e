// POST /subscribers/{id}/match: what the fan-out would do with an event, by its own code
// (core/match.cpp). Nothing is stored and nobody is called.
#include "eventhub/core/match.hpp"

#include <array>

#include "api_impl.hpp"
#include "request_headers.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::array<std::string_view, 5> kReasons{"", "inactive", "event_type", "organization_id",
                                                   "filter"};

EventHeader read_tried_event(const Api& api, const http::Request& request) {
  if (request.count("content-type") > 1) {
    throw Refused(problem(400, "the request has more than one Content-Type"));
  }
  if (!is_json(request)) throw Refused(problem(415, "the Content-Type must be application/json"));
  auto read = parse_new_event(request.body, api.depth_max());
  if (const auto* error = std::get_if<InputError>(&read)) throw Refused(invalid(*error));
  auto& event = std::get<NewEvent>(read);
  EventHeader header;
  header.event_type = std::move(event.event_type);
  header.organization_id = std::move(event.organization_id);
  header.user_id = std::move(event.user_id);
  header.version = std::move(event.version);
  header.payload = std::move(event.payload);
  return header;
}

void add_text_or_null(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  if (text.empty()) {
    out += "null";
  } else {
    append_json_string(out, text);
  }
}

std::string key_source(const Subscriber& subscriber) {
  if (subscriber.ordering == OrderingKey::pointer) return subscriber.routing->key->text();
  return subscriber.ordering == OrderingKey::user_id ? "user_id" : "organization_id";
}

std::string judgement_text(const Subscriber& subscriber, const Judgement& judgement) {
  const bool matches = judgement.reason == Judgement::Reason::none;
  std::string out = R"({"matches":)";
  out += matches ? "true" : "false";
  add_text_or_null(out, "reason", kReasons.at(static_cast<std::size_t>(judgement.reason)));
  add_text_or_null(out, "pointer", judgement.miss.pointer);
  add_text_or_null(out, "detail", judgement.miss.detail);
  out += R"(,"ordering_key":)";
  if (judgement.key) {
    out += R"({"from":)";
    append_json_string(out, key_source(subscriber));
    out.append(R"(,"value":)").append(*judgement.key).append("}");
  } else {
    out += "null";
  }
  add_text_or_null(out, "problem", subscriber.problem);
  return out + '}';
}

}  // namespace

SubscriberPtr find_subscriber(const SubscriberSet& all, const Uuid& id) {
  for (const auto& [sid, subscriber] : all.by_sid) {
    if (subscriber->id == id) return subscriber;
  }
  return nullptr;
}

Task<http::Response> match_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "subscriber");
  const EventHeader event = read_tried_event(*api, request);
  const auto all = co_await api->context.subscribers.refresh();
  const SubscriberPtr subscriber = find_subscriber(*all, id);
  if (!subscriber) co_return problem(404, "there is no subscriber with this id");
  co_return json(200, judgement_text(*subscriber, judge(subscriber, event)));
}

}  // namespace eventhub::api
