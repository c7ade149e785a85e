// The body of POST /events, and an item of a batch (json_batch.cpp): one walk (json_walk.cpp) that
// checks everything, keeps the payload as the slice that came and takes the few envelope members.
// Called by src/api/events.cpp.
#include <algorithm>
#include <array>

#include "event_text.hpp"
#include "eventhub/core/time_text.hpp"
#include "json_walk.hpp"

namespace eventhub {
namespace {

enum Member : std::size_t {
  event_type,
  payload,
  version,
  organization_id,
  user_id,
  deliver_after,
  expires_at,
  idempotency_key,  // of an item; in POST /events it is a header
  other
};
constexpr std::array<std::string_view, other> kNames{
    "event_type", "payload",       "version",    "organization_id",
    "user_id",    "deliver_after", "expires_at", "idempotency_key"};

InputError refuse(Member member, std::string_view what) {
  const std::string name(kNames[member]);
  return {name + " " + std::string(what), "#/" + name};
}

Member find_member(const json::RawString& raw) {
  std::string plain;
  std::string_view name = raw.bytes;
  if (raw.escaped) {
    // A name with half a surrogate pair is none of ours, and no other is longer than this once
    // escaped.
    if (name.size() > 6 * 16 || !json::unescape(name, plain)) return other;
    name = plain;
  }
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  return static_cast<Member>(found - kNames.begin());
}

EventText kind_of_text(Member member) {
  if (member == event_type) return EventText::event_type;
  if (member == version) return EventText::version;
  return member == idempotency_key ? EventText::idempotency_key : EventText::id;
}

class EnvelopeReader {
 public:
  // `last`: the members from it on are unknown ones here.
  EnvelopeReader(std::string_view body, std::size_t depth_max, Member last)
      : walk_(body, depth_max), last_(last) {}

  std::variant<NewEvent, InputError> read() {
    if (!walk_.begin()) return walk_.error();
    if (walk_.peek() != '{') return not_an_object();
    if (!members() || !walk_.end()) return error();
    if (!seen(event_type)) return refuse(event_type, "is required");
    if (!seen(payload)) return refuse(payload, "is required");
    return std::move(event_);
  }
  std::optional<std::string> take_key() { return std::move(key_); }

 private:
  bool seen(Member member) const { return (seen_ >> member & 1U) != 0; }
  bool refused(Member member, std::string_view what) {
    refused_ = refuse(member, what);
    return false;
  }
  InputError error() const { return refused_ ? *refused_ : walk_.error(); }

  // A syntax fault is told before the wrong shape.
  InputError not_an_object() {
    if (walk_.value() && walk_.end()) {
      return {last_ == other ? "an event must be a JSON object" : "the body must be a JSON object",
              "#"};
    }
    return walk_.error();
  }

  bool members() {
    if (!walk_.enter(true)) return false;
    if (walk_.take('}')) return true;
    do {
      json::RawString name;
      if (!walk_.name(name) || !member(find_member(name))) return false;
    } while (walk_.take(','));
    if (!walk_.take('}')) return walk_.fail("not valid JSON: expected a comma or a closing brace");
    walk_.leave();
    return true;
  }

  bool member(Member which) {
    if (which >= last_) return walk_.value();
    if (seen(which)) return refused(which, "is given more than once");
    seen_ |= 1U << which;
    if (which == payload) return read_payload();
    const char first = walk_.peek();
    if (first == 'n' && which != event_type) return walk_.value();  // null: as if absent
    if (first != '"') return walk_.value() && refused(which, "must be a string");
    return which == deliver_after || which == expires_at ? read_time(which) : read_text(which);
  }

  bool read_payload() {
    const char first = walk_.peek();
    const char* from = walk_.position();
    if (!walk_.value()) return false;
    if (first != '{' && first != '[') return refused(payload, "must be an object or an array");
    event_.payload.assign(from, static_cast<std::size_t>(walk_.position() - from));
    return true;
  }

  bool read_string(Member which, std::string& text) {
    json::RawString raw;
    if (!walk_.string(raw)) return false;
    if (!raw.escaped) {
      text = raw.bytes;
    } else if (!json::unescape(raw.bytes, text)) {
      return refused(which, "contains half of a surrogate pair");
    }
    return true;
  }

  bool read_time(Member which) {
    std::string text;
    if (!read_string(which, text)) return false;
    const std::optional<Time> time = parse_time(text);
    if (!time) return refused(which, kTimeRule);
    (which == deliver_after ? event_.deliver_after : event_.expires_at) = time;
    return true;
  }

  bool read_text(Member which) {
    std::string text;
    if (!read_string(which, text)) return false;
    const std::string_view fault = event_text_fault(kind_of_text(which), text);
    if (!fault.empty()) return refused(which, fault);
    keep(which, std::move(text));
    return true;
  }

  void keep(Member which, std::string text) {
    if (which == event_type) {
      event_.event_type = std::move(text);
    } else if (which == version) {
      event_.version = std::move(text);
    } else if (which == organization_id) {
      event_.organization_id = std::move(text);
    } else if (which == user_id) {
      event_.user_id = std::move(text);
    } else {
      key_ = std::move(text);
    }
  }

  json::Walker walk_;
  Member last_;
  NewEvent event_;
  std::optional<std::string> key_;
  std::optional<InputError> refused_;
  unsigned seen_ = 0;
};

}  // namespace

std::variant<NewEvent, InputError> parse_new_event(std::string_view body, std::size_t depth_max) {
  return EnvelopeReader(body, depth_max, idempotency_key).read();
}

std::variant<BatchItem, InputError> parse_batch_item(std::string_view text, std::size_t depth_max) {
  EnvelopeReader reader(text, depth_max, other);
  auto event = reader.read();
  if (auto* error = std::get_if<InputError>(&event)) return std::move(*error);
  return BatchItem{std::get<NewEvent>(std::move(event)), reader.take_key()};
}

}  // namespace eventhub
