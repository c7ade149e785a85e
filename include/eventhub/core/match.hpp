#pragma once
#include <string_view>
#include <vector>

#include "eventhub/core/subscriber.hpp"

namespace eventhub {

// Whether an event type matches a pattern. Segments are separated by '.': `user.created` is exact,
// `user.*` matches one segment, `user.>` one or more, `>` everything. O(length), no backtracking.
bool pattern_matches(std::string_view pattern, std::string_view event_type);

// Finds the active subscribers of an event type; exact types by hash, wildcards one by one.
class Matcher {
 public:
  explicit Matcher(SubscriberSetPtr subscribers);
  std::int64_t version() const { return subscribers_->version; }
  // Makes the messages of one event, ascending by sid, appended to `out`.
  void match(const EventHeader& event, std::vector<Message>& out) const;

 private:
  void append(const EventHeader& event, const Subscriber& subscriber,
              std::vector<Message>& out) const;
  SubscriberSetPtr subscribers_;
  std::unordered_map<std::string, std::vector<SubscriberPtr>> exact_;
  std::vector<SubscriberPtr> wildcard_;
};

}  // namespace eventhub
