#pragma once
#include <string_view>

namespace eventhub {

// The texts of an event, as every way in takes them (json_event.cpp, cloud_event.cpp).
enum class EventText { event_type, version, id, idempotency_key, cloud_id };

// What a member with a time that cannot be read is told.
inline constexpr std::string_view kTimeRule = "must be a time like 2026-01-31T08:00:00Z (RFC 3339)";

// What is wrong with the unescaped text, "must be …", or nothing.
std::string_view event_text_fault(EventText kind, std::string_view text);

}  // namespace eventhub
