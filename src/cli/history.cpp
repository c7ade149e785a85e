// `eventhubd events` and `eventhubd messages`.
#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/listing.hpp"

namespace eventhub::cli {
namespace {

const std::vector<Column> kEventColumns{{"accepted", "accepted_at"}, {"type", "event_type"},
                                        {"version", "version"},      {"org", "organization_id"},
                                        {"user", "user_id"},         {"id", "id"}};

const std::vector<Column> kMessageColumns{{"accepted", "accepted_at"},
                                          {"type", "event_type"},
                                          {"subscriber", "subscriber"},
                                          {"status", "status"},
                                          {"reason", "reason"},
                                          {"attempts", "attempts"},
                                          {"last status", "last_status"},
                                          {"next try", "next_attempt_at"},
                                          {"id", "id"}};

const std::vector<Column> kAttemptColumns{{"attempt", "attempt"}, {"at", "attempted_at"},
                                          {"outcome", "outcome"}, {"status", "status"},
                                          {"ms", "latency_ms"},   {"again at", "next_attempt_at"},
                                          {"error", "error"},     {"response", "response"}};

std::string with_attempts(const Row& message) {
  return fields_of(message) + table_of(message.rows("delivery_attempts"), kAttemptColumns);
}

std::string payload_line(const Row& row) {
  const JsonValue* payload = row.find("payload");
  return payload == nullptr ? "" : "\n" + std::string(payload->text) + "\n";
}

}  // namespace

int list_events(Session& session, const Values& values) {
  Target target("/events");
  add_event_filter(session, values, target);
  return print_list(session, values, target, kEventColumns);
}

int show_event(Session& session, const Values& values) {
  const std::string body = session.get(path_of("/events", values.needed("id")));
  if (session.json()) {
    print_json(body);
    return kDone;
  }
  const Row event(body);
  print_text(fields_of(event, {"payload", "messages"}) + payload_line(event));
  for (const Row& message : event.rows("messages")) print_text("\n" + with_attempts(message));
  return kDone;
}

int cancel_event(Session& session, const Values& values) {
  return each_id(session, values, [&](const std::string& id) {
    session.discard(path_of("/events", id));
    return std::string(R"({"message":"cancelled"})");
  });
}

int expunge_event(Session& session, const Values& values) {
  return each_id(session, values, [&](const std::string& id) {
    session.discard(path_of("/events", id, "/payload"));
    return std::string(R"({"message":"its payload is taken away"})");
  });
}

int list_messages(Session& session, const Values& values) {
  Target target("/messages");
  add_subscriber(session, values, target);
  add_text(values, "status", "status", target);
  add_event_filter(session, values, target);
  return print_list(session, values, target, kMessageColumns);
}

int show_message(Session& session, const Values& values) {
  const std::string body = session.get(path_of("/messages", values.needed("id")));
  if (session.json()) {
    print_json(body);
  } else {
    print_text(with_attempts(Row(body)));
  }
  return kDone;
}

int retry_message(Session& session, const Values& values) {
  return each_id(session, values, [&](const std::string& id) {
    return session.post(path_of("/messages", id, "/retry"),
                        values.has("force") ? R"({"force":true})" : "");
  });
}

}  // namespace eventhub::cli
