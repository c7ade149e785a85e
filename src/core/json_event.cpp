// The body of POST /events: one walk (json_walk.cpp) that checks everything, keeps the payload as
// the slice that came and takes the few envelope members. Called by src/api/events.cpp.
#include <algorithm>
#include <array>

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
  other
};
constexpr std::array<std::string_view, other> kNames{"event_type",      "payload", "version",
                                                     "organization_id", "user_id", "deliver_after",
                                                     "expires_at"};
constexpr std::size_t kTypeMax = 255;
constexpr std::size_t kVersionMax = 64;
constexpr std::size_t kTextMax = 255;

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

bool is_type_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_.:/-").find(c) != std::string_view::npos;
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7F;
}

// C0, DEL and C1 (U+0080 to U+009F are C2 80 to C2 9F).
bool has_control(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// What is wrong with the unescaped text of a member, or nothing.
std::string_view judge(Member member, std::string_view text) {
  switch (member) {
    case event_type:
      if (text.empty() || text.size() > kTypeMax ||
          !std::all_of(text.begin(), text.end(), is_type_char)) {
        return "must be 1 to 255 characters of A-Z a-z 0-9 _ . : / -";
      }
      return {};
    case version:  // it travels in a header
      if (text.empty() || text.size() > kVersionMax || text.front() == ' ' || text.back() == ' ' ||
          !std::all_of(text.begin(), text.end(), is_printable)) {
        return "must be 1 to 64 printable ASCII characters without a space at either end";
      }
      return {};
    default:
      if (text.empty() || characters(text) > kTextMax) return "must be 1 to 255 characters";
      if (has_control(text)) return "must not contain control characters";
      return {};
  }
}

class EnvelopeReader {
 public:
  EnvelopeReader(std::string_view body, std::size_t depth_max) : walk_(body, depth_max) {}

  std::variant<NewEvent, InputError> read() {
    if (!walk_.begin()) return walk_.error();
    if (walk_.peek() != '{') return not_an_object();
    if (!members() || !walk_.end()) return error();
    if (!seen(event_type)) return refuse(event_type, "is required");
    if (!seen(payload)) return refuse(payload, "is required");
    return std::move(event_);
  }

 private:
  bool seen(Member member) const { return (seen_ >> member & 1U) != 0; }
  bool refused(Member member, std::string_view what) {
    refused_ = refuse(member, what);
    return false;
  }
  InputError error() const { return refused_ ? *refused_ : walk_.error(); }

  // A syntax fault is told before the wrong shape.
  InputError not_an_object() {
    if (walk_.value() && walk_.end()) return {"the body must be a JSON object", "#"};
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
    if (which == other) return walk_.value();
    if (seen(which)) return refused(which, "is given more than once");
    seen_ |= 1U << which;
    if (which == payload) return read_payload();
    const char first = walk_.peek();
    if (first == 'n' && which != event_type) return walk_.value();  // null: as if absent
    if (which == deliver_after || which == expires_at)
      return refused(which, "is not supported yet");
    if (first != '"') return walk_.value() && refused(which, "must be a string");
    return read_text(which);
  }

  bool read_payload() {
    const char first = walk_.peek();
    const char* from = walk_.position();
    if (!walk_.value()) return false;
    if (first != '{' && first != '[') return refused(payload, "must be an object or an array");
    event_.payload.assign(from, static_cast<std::size_t>(walk_.position() - from));
    return true;
  }

  bool read_text(Member which) {
    json::RawString raw;
    if (!walk_.string(raw)) return false;
    std::string text;
    if (!raw.escaped) {
      text = raw.bytes;
    } else if (!json::unescape(raw.bytes, text)) {
      return refused(which, "contains half of a surrogate pair");
    }
    const std::string_view fault = judge(which, text);
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
    }
  }

  json::Walker walk_;
  NewEvent event_;
  std::optional<InputError> refused_;
  unsigned seen_ = 0;
};

}  // namespace

std::variant<NewEvent, InputError> parse_new_event(std::string_view body, std::size_t depth_max) {
  return EnvelopeReader(body, depth_max).read();
}

}  // namespace eventhub
