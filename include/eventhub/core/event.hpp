#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub {

// Checked input of POST /events. The payload is the producer's bytes, never re-serialised.
struct NewEvent {
  std::string event_type;
  std::string version = "v1";
  std::optional<std::string> organization_id;
  std::optional<std::string> user_id;
  std::string payload;
  std::optional<std::string> traceparent;
  std::optional<Time> deliver_after;  // fanned out then and not before
  std::optional<Time> expires_at;     // no attempt then or later
  bool timed() const { return deliver_after || expires_at; }
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
  std::optional<Time> expires_at;
  bool expunged = false;  // its payload was taken away: it is not to be sent
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
