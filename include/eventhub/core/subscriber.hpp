#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/core/filter.hpp"
#include "eventhub/core/message.hpp"

namespace eventhub {

enum class Guarantee { at_least_once, at_most_once };
enum class OrderingKey { none, organization_id, user_id, pointer };
enum class OnDead { go_on, block };
enum class BodyFormat { payload, envelope, cloudevents_binary, cloudevents_structured };

// When a failed attempt is tried again (semantics.md "Retries").
// HTTP statuses, both ends included.
struct StatusRange {
  int first = 0, last = 0;
  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

struct RetryPolicy {
  int limit = 3;                                    // retries after the first attempt; 0..100
  std::vector<double> backoff_seconds{5, 30, 300};  // retry n waits element n, the last one repeats
  double jitter = 0;  // 0..1: waits are lengthened by up to this share, never shortened
  // Of 300..599, what is tried again; every other status of these is not.
  std::vector<StatusRange> statuses{{429, 429}, {500, 599}};
};

// When the circuit of a subscriber opens (core/health.hpp).
struct CircuitPolicy {
  int failures = 0;     // in a row; 0: never
  Millis open{30'000};  // until one message is let through
};

// Which of the events of its types a subscriber gets, and their key, when event_type alone and a
// member of the envelope do not tell.
struct Routing {
  std::optional<std::string> organization_id;  // only this one's
  std::optional<Filter> filter;
  std::optional<JsonPointer> key;  // with OrderingKey::pointer
};

// A row of `subscribers`.
struct Subscriber {
  std::int32_t sid = 0;
  Uuid id;
  std::string name;
  std::vector<std::string>
      patterns;  // event_type and event_types: exact, `*` one segment, `>` the rest
  std::string webhook_url;
  Guarantee guarantee = Guarantee::at_least_once;
  OrderingKey ordering = OrderingKey::none;  // none unless ordering_enabled
  std::shared_ptr<const Routing> routing;    // nullptr for most: all events of its types
  OnDead on_dead = OnDead::go_on;
  RetryPolicy retry;
  BodyFormat body = BodyFormat::payload;
  bool active = true;   // false: no new messages, queued ones held
  bool paused = false;  // true: new messages made and held
  int max_in_flight = 64;
  int spread = kSpreadMax;  // shards that its messages are spread over
  double rate_limit = 0;    // requests per second; 0: as many as it takes
  CircuitPolicy circuit;
  std::optional<Millis> timeout;  // nullopt: webhook.timeout_ms
  std::vector<std::pair<std::string, std::string>> headers;
  std::string problem;               // not empty: why it must not be called, whatever the rest says
  std::vector<std::string> secrets;  // whsec_…; the current one first
  std::optional<Time> last_secret_until;  // the last of them is the previous one and ends then
};
using SubscriberPtr = std::shared_ptr<const Subscriber>;

// All subscribers as of one version; immutable, replaced as a whole when `subscribers_version`
// moves.
struct SubscriberSet {
  std::int64_t version = -1;
  std::unordered_map<std::int32_t, SubscriberPtr> by_sid;
};
using SubscriberSetPtr = std::shared_ptr<const SubscriberSet>;

}  // namespace eventhub
