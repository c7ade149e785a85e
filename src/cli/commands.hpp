#pragma once
#include "cli/session.hpp"

// What the commands do; each returns an exit code of error.hpp.
namespace eventhub::cli {

int publish(Session& session, const Values& values);

int list_events(Session& session, const Values& values);
int show_event(Session& session, const Values& values);
int cancel_event(Session& session, const Values& values);
int expunge_event(Session& session, const Values& values);
int list_messages(Session& session, const Values& values);
int show_message(Session& session, const Values& values);
int retry_message(Session& session, const Values& values);

int list_subscribers(Session& session, const Values& values);
int show_subscriber(Session& session, const Values& values);
int create_subscriber(Session& session, const Values& values);
int update_subscriber(Session& session, const Values& values);
int delete_subscriber(Session& session, const Values& values);
int pause_subscriber(Session& session, const Values& values);
int resume_subscriber(Session& session, const Values& values);
int test_subscriber(Session& session, const Values& values);
int match_subscriber(Session& session, const Values& values);
int rotate_secret(Session& session, const Values& values);
int apply_subscribers(Session& session, const Values& values);

int list_dead(Session& session, const Values& values);
int show_dead(Session& session, const Values& values);
int retry_dead(Session& session, const Values& values);
int retry_all_dead(Session& session, const Values& values);
int discard_dead(Session& session, const Values& values);
int export_dead(Session& session, const Values& values);

int replay(Session& session, const Values& values);

int tail(Session& session, const Values& values);

}  // namespace eventhub::cli
