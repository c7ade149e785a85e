// `eventhubd subscribers …`, but for `apply`.
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/files.hpp"
#include "cli/listing.hpp"
#include "cli/subscriber_members.hpp"

namespace eventhub::cli {
namespace {

const std::vector<Column> kSubscriberColumns{{"name", "name"},
                                             {"event type", "event_type"},
                                             {"event types", "event_types"},
                                             {"webhook", "webhook_url"},
                                             {"guarantee", "delivery_guarantee"},
                                             {"ordered by", "ordering_key"},
                                             {"active", "is_active"},
                                             {"paused", "paused"},
                                             {"circuit", "circuit"},
                                             {"id", "id"}};

std::string subscriber_path(Session& session, const Values& values, std::string_view action = "") {
  return path_of("/subscribers", subscriber_id(session, values.needed("subscriber")), action);
}

int print_subscriber(const Session& session, const std::string& body) {
  if (session.json()) {
    print_json(body);
  } else {
    print_text(fields_of(Row(body)));
  }
  return kDone;
}

// The answer to what may have made a secret: no other one has it.
int print_with_secret(const Session& session, const std::string& body) {
  print_subscriber(session, body);
  const bool made = Row(body).find("secret") != nullptr;
  if (made && !session.json()) tell("the secret is not shown again: its receiver needs it");
  return kDone;
}

}  // namespace

int list_subscribers(Session& session, const Values& values) {
  Target target("/subscribers");
  add_text(values, "event-type", "event_type", target);
  if (values.has("paused")) target.add("paused", "true");
  if (values.has("inactive")) target.add("is_active", "false");
  return print_list(session, values, target, kSubscriberColumns);
}

int show_subscriber(Session& session, const Values& values) {
  return print_subscriber(session, session.get(subscriber_path(session, values)));
}

int create_subscriber(Session& session, const Values& values) {
  return print_with_secret(session, session.post("/subscribers", subscriber_body(values, true)));
}

int update_subscriber(Session& session, const Values& values) {
  const std::string body = subscriber_body(values, false);
  if (body == "{}") throw UsageError("subscribers update: say what to change");
  return print_subscriber(session, session.patch(subscriber_path(session, values), body));
}

int delete_subscriber(Session& session, const Values& values) {
  const std::string path = subscriber_path(session, values);
  session.discard(path);
  if (!session.json()) print_text(fmt::format("deleted {}\n", values.needed("subscriber")));
  return kDone;
}

int pause_subscriber(Session& session, const Values& values) {
  ObjectText body;
  if (const auto reason = values.text("reason")) body.text("reason", *reason);
  return print_subscriber(session,
                          session.post(subscriber_path(session, values, "/pause"), body.done()));
}

int resume_subscriber(Session& session, const Values& values) {
  return print_subscriber(session, session.post(subscriber_path(session, values, "/resume")));
}

int test_subscriber(Session& session, const Values& values) {
  const std::string body = session.post(subscriber_path(session, values, "/test"));
  print_subscriber(session, body);
  return Row(body).is("delivered", "true") ? kDone : kRefused;
}

int match_subscriber(Session& session, const Values& values) {
  const std::string path = subscriber_path(session, values, "/match");
  auto file = opened_file("file", values.needed("file"));
  const std::string body = session.post(path, all_of(file));
  print_subscriber(session, body);
  return Row(body).is("matches", "true") ? kDone : kRefused;
}

int rotate_secret(Session& session, const Values& values) {
  ObjectText body;
  if (const auto path = values.text("secret-file"))
    body.text("secret", first_line_of(*path, "secret"));
  if (values.has("overlap-seconds")) {
    const auto seconds = values.integer("overlap-seconds", 0, 1'000'000'000, 0);
    body.json("overlap_seconds", std::to_string(seconds));
  }
  if (values.has("force")) body.json("force", "true");
  return print_with_secret(
      session, session.post(subscriber_path(session, values, "/rotate-secret"), body.done()));
}

}  // namespace eventhub::cli
