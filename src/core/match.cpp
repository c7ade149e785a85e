// Which subscribers an event goes to. Pure; called by the fan-out for every event, so exact types
// cost one hash look-up and only wildcard subscribers are tried one by one.
#include "eventhub/core/match.hpp"

#include <algorithm>

namespace eventhub {
namespace {

// Cuts the first segment off `text`; `text` is npos-empty (data() == nullptr) after the last one.
std::string_view take_segment(std::string_view& text) {
  const std::size_t dot = text.find('.');
  const std::string_view segment = text.substr(0, dot);
  text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
  return segment;
}

// '*' and '>' are wildcards only as whole segments, and no event type may contain them.
bool is_wildcard(std::string_view pattern) {
  return pattern.find_first_of("*>") != std::string_view::npos;
}

const std::optional<std::string>& key_of(const EventHeader& event, OrderingKey ordering) {
  static const std::optional<std::string> none;
  switch (ordering) {
    case OrderingKey::organization_id:
      return event.organization_id;
    case OrderingKey::user_id:
      return event.user_id;
    case OrderingKey::none:
      break;
  }
  return none;
}

bool any_wildcard_matches(const Subscriber& subscriber, std::string_view event_type) {
  return std::ranges::any_of(subscriber.patterns, [&](const std::string& pattern) {
    return is_wildcard(pattern) && pattern_matches(pattern, event_type);
  });
}

std::vector<SubscriberPtr> active_by_sid(const SubscriberSet& set) {
  std::vector<SubscriberPtr> active;
  for (const auto& [sid, subscriber] : set.by_sid) {
    if (subscriber->active) active.push_back(subscriber);
  }
  std::ranges::sort(active, {}, [](const SubscriberPtr& s) { return s->sid; });
  return active;
}

}  // namespace

bool pattern_matches(std::string_view pattern, std::string_view event_type) {
  while (true) {
    if (pattern == ">") return true;  // at least the segment that is left
    const std::string_view wanted = take_segment(pattern);
    const std::string_view segment = take_segment(event_type);
    if (wanted != "*" && wanted != segment) return false;
    if (pattern.data() == nullptr || event_type.data() == nullptr) {
      return pattern.data() == event_type.data();
    }
  }
}

Matcher::Matcher(SubscriberSetPtr subscribers) : subscribers_(std::move(subscribers)) {
  for (const SubscriberPtr& subscriber : active_by_sid(*subscribers_)) {
    bool wildcard = false;
    for (const std::string& pattern : subscriber->patterns) {
      if (is_wildcard(pattern)) {
        wildcard = true;
        continue;
      }
      std::vector<SubscriberPtr>& listed = exact_[pattern];
      if (listed.empty() || listed.back() != subscriber) listed.push_back(subscriber);
    }
    if (wildcard) wildcard_.push_back(subscriber);
  }
}

// Both lists ascend by sid; a subscriber found in both gets one message.
void Matcher::match(const EventHeader& event, std::vector<Message>& out) const {
  static const std::vector<SubscriberPtr> nobody;
  const auto found = exact_.find(event.event_type);
  const std::vector<SubscriberPtr>& exact = found == exact_.end() ? nobody : found->second;
  auto next = exact.begin();
  for (const SubscriberPtr& subscriber : wildcard_) {
    for (; next != exact.end() && (*next)->sid < subscriber->sid; ++next) {
      append(event, **next, out);
    }
    const bool both = next != exact.end() && *next == subscriber;
    if (both) ++next;
    if (both || any_wildcard_matches(*subscriber, event.event_type)) {
      append(event, *subscriber, out);
    }
  }
  for (; next != exact.end(); ++next) append(event, **next, out);
}

void Matcher::append(const EventHeader& event, const Subscriber& subscriber,
                     std::vector<Message>& out) const {
  const std::optional<std::string>& key = key_of(event, subscriber.ordering);
  Message message;
  message.ref = {event.event_seq, subscriber.sid};
  std::uint64_t hash = 0;
  if (key) {
    hash = stable_hash(std::string_view{*key});
    message.khash = static_cast<std::int64_t>(hash);
  } else {
    hash = stable_hash(static_cast<std::uint64_t>(event.event_seq));
  }
  message.shard = shard_of(subscriber.sid, hash, subscriber.spread);
  out.push_back(message);
}

}  // namespace eventhub
