#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "eventhub/core/ids.hpp"

namespace eventhub {

// Checked input of POST /events. The payload is the producer's bytes, never re-serialised.
struct NewEvent {
  std::string event_type;
  std::string version = "v1";
  std::optional<std::string> organization_id;
  std::optional<std::string> user_id;
  std::string payload;
  std::optional<std::string> traceparent;
};

// A committed event as the dispatcher sends it.
struct Event {
  std::int64_t event_seq = 0;
  Uuid id;
  Time created_at;
  std::string event_type;
  std::string version;
  std::optional<std::string> organization_id;
  std::optional<std::string> user_id;
  std::optional<std::string> traceparent;
  std::string payload;
};
using EventPtr = std::shared_ptr<const Event>;

// What the fan-out reads of an event: enough to route it.
struct EventHeader {
  std::int64_t event_seq = 0;
  std::string event_type;
  std::optional<std::string> organization_id;
  std::optional<std::string> user_id;
  std::string version, payload;  // only of events that Matcher::needs_body() says
};

}  // namespace eventhub
