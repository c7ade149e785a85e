#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/core/json.hpp"

namespace eventhub {

// An event that came as a CloudEvent 1.0. `source` and `id` together are its idempotency key. The
// type is the event's type, JSON data its payload, byte for byte; the extensions organizationid,
// userid, eventversion, deliverafter, expiresat and traceparent are its other members. Further
// attributes are not kept.
struct CloudEvent {
  NewEvent event;
  std::string source, id;
};

// Names in lower case, and values as text.
using CloudAttributes = std::vector<std::pair<std::string, std::string>>;

// Binary mode: attributes beside the data. An error's place is the attribute's name.
std::variant<CloudEvent, InputError> make_cloud_event(const CloudAttributes& attributes,
                                                      std::string_view data, std::size_t depth_max);
// Structured mode, and an item of a batch: one JSON object.
std::variant<CloudEvent, InputError> parse_cloud_event(std::string_view text,
                                                       std::size_t depth_max);

// Whether a media type, with any parameters, is one of JSON: application/json, text/json, …+json.
bool is_json_media_type(std::string_view type);
// A valid W3C trace context as version 00; nullopt for an invalid one.
std::optional<std::string> valid_traceparent(std::string_view text);

}  // namespace eventhub
