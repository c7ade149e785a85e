// Which subscribers an event goes to. Pure; called by the fan-out for every event, so exact types
// cost one hash look-up and only wildcard subscribers are tried one by one. What a Routing asks of
// the payload is found in one pass over it, whoever asks.
#include "eventhub/core/match.hpp"

#include <algorithm>

#include "decimal.hpp"
#include "json_walk.hpp"

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

const std::optional<std::string>& member_key(const EventHeader& event, OrderingKey ordering) {
  static const std::optional<std::string> none;
  switch (ordering) {
    case OrderingKey::organization_id:
      return event.organization_id;
    case OrderingKey::user_id:
      return event.user_id;
    case OrderingKey::none:
    case OrderingKey::pointer:
      break;
  }
  return none;
}

// Values that are the same key have the same text: numbers by value, strings without escapes, each
// kind apart. Nullopt for what is no key.
std::optional<std::string> key_text(const JsonValue& value) {
  std::string text;
  switch (value.kind) {
    case JsonValue::Kind::string: {
      const std::string_view raw = value.text.substr(1, value.text.size() - 2);
      text = "s";
      if (!json::unescape(raw, text)) text.assign("h").append(raw);  // half of a surrogate pair
      return text;
    }
    case JsonValue::Kind::number: {
      const Decimal number = read_decimal(value.text);
      text = number.negative ? "n-" : "n";
      return text + number.digits + 'e' + std::to_string(number.exponent);
    }
    case JsonValue::Kind::boolean:
      return std::string(value.text);
    default:
      return std::nullopt;
  }
}

bool is_organizations(const Routing& routing, const EventHeader& event) {
  return !routing.organization_id || routing.organization_id == event.organization_id;
}

bool any_pattern_matches(const Subscriber& subscriber, std::string_view event_type) {
  return std::ranges::any_of(subscriber.patterns, [&](const std::string& pattern) {
    return pattern_matches(pattern, event_type);
  });
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
    list(subscriber);
    if (subscriber->routing) add_places(*subscriber->routing);
  }
}

void Matcher::list(const SubscriberPtr& subscriber) {
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

void Matcher::add_places(const Routing& routing) {
  Places& places = places_[&routing];
  if (routing.filter) {
    for (const JsonPointer& pointer : routing.filter->pointers()) {
      places.filter.push_back(pick_.add(pointer));
    }
  }
  if (routing.key) places.key = pick_.add(*routing.key);
  places.body =
      places.key || !places.filter.empty() || (routing.filter && routing.filter->reads_version());
  reads_bodies_ |= places.body;
}

// Both lists ascend by sid; a subscriber found in both is visited once.
template <class Visit>
void Matcher::each_of_type(const EventHeader& event, const Visit& visit) const {
  static const std::vector<SubscriberPtr> nobody;
  const auto found = exact_.find(event.event_type);
  const std::vector<SubscriberPtr>& exact = found == exact_.end() ? nobody : found->second;
  auto next = exact.begin();
  for (const SubscriberPtr& subscriber : wildcard_) {
    for (; next != exact.end() && (*next)->sid < subscriber->sid; ++next) visit(**next);
    const bool both = next != exact.end() && *next == subscriber;
    if (both) ++next;
    if (both || any_wildcard_matches(*subscriber, event.event_type)) visit(*subscriber);
  }
  for (; next != exact.end(); ++next) visit(**next);
}

bool Matcher::needs_body(const EventHeader& event) const {
  bool needed = false;
  if (!reads_bodies_) return needed;
  each_of_type(event, [&](const Subscriber& subscriber) {
    const Routing* routing = subscriber.routing.get();
    needed = needed ||
             (routing != nullptr && is_organizations(*routing, event) && places_of(*routing).body);
  });
  return needed;
}

void Matcher::match(const EventHeader& event, std::vector<Message>& out) const {
  read_ = false;
  each_of_type(event, [&](const Subscriber& subscriber) {
    if (!subscriber.routing || wants(*subscriber.routing, event)) append(event, subscriber, out);
  });
}

const JsonPicked& Matcher::picked(const EventHeader& event) const {
  if (!read_) pick_.read(event.payload, picked_);
  read_ = true;
  return picked_;
}

bool Matcher::wants(const Routing& routing, const EventHeader& event) const {
  if (!is_organizations(routing, event)) return false;
  if (!routing.filter) return true;
  const Places& places = places_of(routing);
  static const JsonPicked nothing;
  const bool payload = !places.filter.empty();
  return routing.filter->matches({event, payload ? picked(event) : nothing, places.filter});
}

const JsonValue* Matcher::key_value(const Routing& routing, const EventHeader& event) const {
  const Places& places = places_of(routing);
  return places.key ? picked(event).at(*places.key) : nullptr;
}

std::optional<std::uint64_t> Matcher::key_hash(const Subscriber& subscriber,
                                               const EventHeader& event) const {
  if (subscriber.ordering != OrderingKey::pointer) {
    const std::optional<std::string>& key = member_key(event, subscriber.ordering);
    return key ? std::optional(stable_hash(std::string_view{*key})) : std::nullopt;
  }
  const JsonValue* value = key_value(*subscriber.routing, event);
  const auto text = value == nullptr ? std::nullopt : key_text(*value);
  return text ? std::optional(stable_hash(std::string_view{*text})) : std::nullopt;
}

void Matcher::append(const EventHeader& event, const Subscriber& subscriber,
                     std::vector<Message>& out) const {
  const std::optional<std::uint64_t> key = key_hash(subscriber, event);
  Message message;
  message.ref = {event.event_seq, subscriber.sid};
  if (key) message.khash = static_cast<std::int64_t>(*key);
  const std::uint64_t hash = key ? *key : stable_hash(static_cast<std::uint64_t>(event.event_seq));
  message.shard = shard_of(subscriber.sid, hash, subscriber.spread);
  out.push_back(message);
}

Judgement judge(const SubscriberPtr& subscriber, const EventHeader& event) {
  auto active = std::make_shared<Subscriber>(*subscriber);
  active->active = true;
  auto alone = std::make_shared<SubscriberSet>();
  alone->by_sid[active->sid] = active;
  const Matcher matcher(alone);
  Judgement judgement;
  std::vector<Message> messages;
  matcher.match(event, messages);
  const Routing* routing = active->routing.get();
  if (!messages.empty()) {
    judgement.reason = subscriber->active ? Judgement::Reason::none : Judgement::Reason::inactive;
    if (!messages[0].khash) return judgement;
    if (active->ordering == OrderingKey::pointer) {
      judgement.key = matcher.key_value(*routing, event)->text;
    } else {
      append_json_string(judgement.key.emplace(), *member_key(event, active->ordering));
    }
  } else if (!any_pattern_matches(*active, event.event_type)) {
    judgement.reason = Judgement::Reason::event_type;
  } else if (!is_organizations(*routing, event)) {
    judgement.reason = Judgement::Reason::organization_id;
  } else {
    judgement.reason = Judgement::Reason::filter;
    const auto& places = matcher.places_of(*routing).filter;
    judgement.miss = routing->filter->miss({event, matcher.picked(event), places}).value();
  }
  return judgement;
}

}  // namespace eventhub
