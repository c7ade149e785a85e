// The rules of an event's texts. publish() in SQL has them as constraints of the table outbox.
#include "event_text.hpp"

#include <algorithm>

namespace eventhub {
namespace {

constexpr std::size_t kTypeMax = 255;
constexpr std::size_t kVersionMax = 64;
constexpr std::size_t kTextMax = 255;
constexpr std::size_t kCloudIdMax = 1024;  // id and source of a CloudEvent: a source is a URI

bool is_type_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_.:/-").find(c) != std::string_view::npos;
}

bool all_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
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

}  // namespace

std::string_view event_text_fault(EventText kind, std::string_view text) {
  switch (kind) {
    case EventText::event_type:
      if (text.empty() || text.size() > kTypeMax ||
          !std::all_of(text.begin(), text.end(), is_type_char)) {
        return "must be 1 to 255 characters of A-Z a-z 0-9 _ . : / -";
      }
      return {};
    case EventText::version:  // it travels in a header
      if (text.empty() || text.size() > kVersionMax || text.front() == ' ' || text.back() == ' ' ||
          !all_printable(text)) {
        return "must be 1 to 64 printable ASCII characters without a space at either end";
      }
      return {};
    case EventText::idempotency_key:  // as in a header
      if (text.empty() || text.size() > kTextMax || !all_printable(text)) {
        return "must be 1 to 255 printable ASCII characters";
      }
      return {};
    case EventText::cloud_id:
      if (text.size() > kCloudIdMax) return "must be at most 1024 bytes";
      return has_control(text) ? "must not contain control characters" : std::string_view{};
    case EventText::id:
      break;
  }
  if (text.empty() || characters(text) > kTextMax) return "must be 1 to 255 characters";
  if (has_control(text)) return "must not contain control characters";
  return {};
}

}  // namespace eventhub
