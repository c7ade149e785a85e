#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eventhub/core/subscriber.hpp"

namespace eventhub {

// Whether an event type matches a pattern. Segments are separated by '.': `user.created` is exact,
// `user.*` matches one segment, `user.>` one or more, `>` everything. O(length), no backtracking.
bool pattern_matches(std::string_view pattern, std::string_view event_type);

// Finds the active subscribers of an event; exact types by hash, wildcards one by one, then those
// with a Routing by it.
class Matcher {
 public:
  explicit Matcher(SubscriberSetPtr subscribers);
  std::int64_t version() const { return subscribers_->version; }
  // False: needs_body() is false for all events.
  bool reads_bodies() const { return reads_bodies_; }
  // Whether match() has to see the payload and the version of this event.
  bool needs_body(const EventHeader& event) const;
  // Makes the messages of one event, ascending by sid, appended to `out`.
  void match(const EventHeader& event, std::vector<Message>& out) const;

 private:
  friend struct Judgement judge(const SubscriberPtr& subscriber, const EventHeader& event);
  // A subscriber's places of the payload.
  struct Places {
    std::vector<std::uint32_t> filter;  // of filter->pointers()
    std::optional<std::uint32_t> key;
    bool body = false;  // needed: for these, or for the version
  };

  template <class Visit>
  void each_of_type(const EventHeader& event, const Visit& visit) const;
  void list(const SubscriberPtr& subscriber);
  void add_places(const Routing& routing);
  const Places& places_of(const Routing& routing) const { return places_.find(&routing)->second; }
  // The payload of `event` is read once, by the first that asks.
  const JsonPicked& picked(const EventHeader& event) const;
  bool wants(const Routing& routing, const EventHeader& event) const;
  const JsonValue* key_value(const Routing& routing, const EventHeader& event) const;
  std::optional<std::uint64_t> key_hash(const Subscriber& subscriber,
                                        const EventHeader& event) const;
  void append(const EventHeader& event, const Subscriber& subscriber,
              std::vector<Message>& out) const;

  SubscriberSetPtr subscribers_;
  std::unordered_map<std::string, std::vector<SubscriberPtr>> exact_;
  std::vector<SubscriberPtr> wildcard_;
  std::unordered_map<const Routing*, Places> places_;
  JsonPick pick_;  // the places of all of them
  bool reads_bodies_ = false;
  mutable JsonPicked picked_;  // of the event that is matched
  mutable bool read_ = false;  // whether it is there yet
};

// What match() does with an event and one subscriber, with the reason; whether it is active or not.
struct Judgement {
  enum class Reason { none, inactive, event_type, organization_id, filter };
  Reason reason = Reason::none;    // why it does not get the event; none: it does
  FilterMiss miss;                 // with Reason::filter
  std::optional<std::string> key;  // the value of its ordering key, as JSON; nullopt: unordered
};
Judgement judge(const SubscriberPtr& subscriber, const EventHeader& event);

}  // namespace eventhub
