// Events on their way out as CloudEvents 1.0. Called by webhook.cpp.
#include "cloud_event.hpp"

#include <fmt/format.h>

#include "eventhub/core/json.hpp"
#include "eventhub/core/time_text.hpp"

namespace eventhub::http {
namespace {

// Ids are unique over all hubs, so the source need not tell them apart.
constexpr std::string_view kSource = "/eventhub";

// Calls `add` with each attribute.
template <class Add>
void for_each_attribute(const Event& event, const Add& add) {
  add("specversion", "1.0");
  add("id", to_string(event.id));
  add("source", kSource);
  add("type", event.event_type);
  add("time", format_time(event.created_at));
  add("eventversion", event.version);
  if (event.organization_id) add("organizationid", *event.organization_id);
  if (event.user_id) add("userid", *event.user_id);
}

// As the HTTP binding says: UTF-8 outside of visible ASCII, quotes and percent signs.
void append_encoded(std::string& out, std::string_view text) {
  for (const char c : text) {
    const bool plain = c > 0x20 && c < 0x7F && c != '"' && c != '%';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

}  // namespace

std::string structured_cloud_event(const Event& event) {
  std::string out;
  for_each_attribute(event, [&out](std::string_view name, std::string_view value) {
    out.append(out.empty() ? "{\"" : ",\"").append(name).append("\":");
    append_json_string(out, value);
  });
  out.append(R"(,"datacontenttype":"application/json","data":)").append(event.payload).append("}");
  return out;
}

void append_cloud_event_headers(std::string& out, const Event& event) {
  for_each_attribute(event, [&out](std::string_view name, std::string_view value) {
    out.append("ce-").append(name).append(": ");
    append_encoded(out, value);
    out += "\r\n";
  });
}

}  // namespace eventhub::http
