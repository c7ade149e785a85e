// The delivered request: header lines, envelope, signature. Pure but for the signing contexts;
// called by src/dispatcher/deliver.cpp, and for a test by src/api/test_send.cpp.
#include "eventhub/http/webhook.hpp"

#include <fmt/format.h>

#include "eventhub/core/json.hpp"
#include "eventhub/core/time_text.hpp"

namespace eventhub::http {
namespace {

void line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

// The parent id is new with every hop; the trace goes on (W3C trace context).
std::string next_traceparent(const std::string& traceparent) {
  const std::string fresh = to_string(uuid_random());
  std::string parent = fresh.substr(0, 8) + fresh.substr(24, 8);
  return traceparent.substr(0, 36) + parent + traceparent.substr(52);
}

void member(std::string& out, std::string_view name, const std::optional<std::string>& value) {
  out.append(",\"").append(name).append("\":");
  if (value) {
    append_json_string(out, *value);
  } else {
    out += "null";
  }
}

// How many of a subscriber's secrets sign: the previous one only until its time is over.
std::size_t signing(const Subscriber& row, Time now) {
  const bool over = row.last_secret_until && now >= *row.last_secret_until;
  return row.secrets.size() - (over ? 1 : 0);
}

void sign(std::string& out, Endpoint& endpoint, std::string_view id, std::string_view body,
          Time now) {
  const std::size_t count = signing(*endpoint.row, now);
  if (count == 0) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  line(out, "webhook-signature", endpoint.signer->sign(id, seconds.count(), body, count));
}

}  // namespace

std::shared_ptr<Endpoint> Endpoints::of(const SubscriberPtr& row) {
  std::shared_ptr<Endpoint>& slot = endpoints_[row->sid];
  if (slot && slot->row == row) return slot;
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->row = row;
  endpoint->error = row->problem;
  auto parsed = parse_url(row->webhook_url);
  if (auto* url = std::get_if<Url>(&parsed)) {
    endpoint->url = std::move(*url);
  } else {
    endpoint->error = "webhook_url: " + std::get<std::string>(parsed);
  }
  for (const auto& [name, value] : row->headers) line(endpoint->headers, name, value);
  if (!row->secrets.empty()) {
    try {
      endpoint->signer = std::make_unique<Signer>(row->secrets);
    } catch (const std::exception& bad) {
      endpoint->error = std::string("secret: ") + bad.what();
    }
  }
  slot = endpoint;
  return endpoint;
}

std::string envelope(MessageRef ref, const Event& event) {
  std::string out = "{\"id\":";
  append_json_string(out, to_string(message_id(ref, event.id)));
  out += ",\"type\":";
  append_json_string(out, event.event_type);
  out += ",\"version\":";
  append_json_string(out, event.version);
  out += ",\"timestamp\":";
  append_json_string(out, format_time(event.created_at));
  member(out, "organization_id", event.organization_id);
  member(out, "user_id", event.user_id);
  out.append(",\"data\":").append(event.payload).append("}");
  return out;
}

std::string request_headers(Endpoint& endpoint, Attempt attempt, const Event& event,
                            std::string_view body, Time now) {
  const std::string id = to_string(message_id(attempt.ref, event.id));
  const std::int64_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::string out;
  out.reserve(640);
  line(out, "Content-Type", "application/json");
  line(out, "User-Agent", "eventhubd/" EVENTHUB_VERSION);
  line(out, "X-Message-Id", id);
  line(out, "X-Event-Id", to_string(event.id));
  line(out, "X-Event-Type", event.event_type);
  line(out, "X-Event-Version", event.version);
  line(out, "X-Delivery-Attempt", fmt::format_int(attempt.attempt).c_str());
  line(out, "X-Event-Seq", fmt::format_int(event.event_seq).c_str());
  line(out, "webhook-id", id);
  line(out, "webhook-timestamp", fmt::format_int(seconds).c_str());
  if (endpoint.signer) sign(out, endpoint, id, body, now);
  if (event.traceparent && event.traceparent->size() >= 55) {
    line(out, "traceparent", next_traceparent(*event.traceparent));
  }
  out += endpoint.headers;
  return out;
}

}  // namespace eventhub::http
