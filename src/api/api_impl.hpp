#pragma once
#include <memory>
#include <string>

#include "access.hpp"
#include "database_check.hpp"
#include "eventhub/api/api.hpp"
#include "eventhub/core/cloud_event.hpp"
#include "eventhub/http/client.hpp"
#include "eventhub/store/dead_letters.hpp"
#include "eventhub/store/history.hpp"
#include "eventhub/store/queries.hpp"
#include "eventhub/store/replay.hpp"
#include "eventhub/store/subscriber_admin.hpp"

namespace eventhub::api {

// Which routes a listener has besides those of scope `none`.
struct Serves {
  bool events = true;      // scope publish
  bool management = true;  // scopes read and admin
  bool has(Scope scope) const {
    return scope == Scope::none || (scope == Scope::publish ? events : management);
  }
};

// What the handlers of one listener share. Outlives the server's connections by shared_ptr.
struct Api {
  // `accepts`: nullptr when this listener takes no events.
  Api(store::Context& shared, store::Keys& known, store::Ingest* accepts, Health& of_process,
      std::string_view bind, Serves served)
      : context(shared),
        keys(known),
        ingest(accepts),
        health(of_process),
        database(std::make_shared<DatabaseCheck>(shared)),
        access(known.current(), shared.config.server, bind),
        serves(served) {}

  store::Context& context;
  store::Keys& keys;
  store::Ingest* ingest;
  Health& health;
  std::shared_ptr<DatabaseCheck> database;
  Access access;
  Serves serves;
  store::Queries queries{context};
  store::SubscriberAdmin subscribers{context, queries};
  store::History history{queries};
  store::DeadLetters dead_letters{queries};
  store::Replay replay{context, queries};
  int tests = 0;                              // webhooks that test_send.cpp has in the air
  std::unique_ptr<http::Client> test_client;  // nullptr until the first of them

  std::size_t depth_max() const {
    return static_cast<std::size_t>(context.config.ingest.json_depth_max);
  }
};
using ApiPtr = std::shared_ptr<Api>;

// The hashes of a producer's key and of its event (events.cpp).
store::IdempotencyKey key_of(const http::Request& request, std::string_view key,
                             const NewEvent& event);
store::IdempotencyKey key_of(const http::Request& request, const CloudEvent& cloud);

// What is wrong with the times of an event, if anything (events.cpp). `cloud`: of a CloudEvent.
std::optional<InputError> wrong_times(const Api& api, const NewEvent& event, bool cloud);

// The handlers, by resource. `request` lives until the task ends.
Task<http::Response> post_event(ApiPtr api, const http::Request& request);   // events.cpp
Task<http::Response> post_events(ApiPtr api, const http::Request& request);  // events_batch.cpp
Task<http::Response> get_keys(ApiPtr api, const http::Request& request);     // keys.cpp
Task<http::Response> post_key(ApiPtr api, const http::Request& request);     // keys.cpp
Task<http::Response> delete_key(ApiPtr api, const http::Request& request);   // keys.cpp
Task<http::Response> get_health(ApiPtr api, const http::Request& request);   // health.cpp
Task<http::Response> get_livez(ApiPtr api, const http::Request& request);    // health.cpp
Task<http::Response> get_readyz(ApiPtr api, const http::Request& request);   // health.cpp
Task<http::Response> get_metrics(ApiPtr api, const http::Request& request);  // health.cpp

Task<http::Response> get_openapi(ApiPtr api, const http::Request& request);    // openapi.cpp
Task<http::Response> get_dashboard(ApiPtr api, const http::Request& request);  // dashboard.cpp
Task<http::Response> get_dashboard_script(ApiPtr api, const http::Request& request);
Task<http::Response> get_dashboard_style(ApiPtr api, const http::Request& request);

// subscribers.cpp
Task<http::Response> get_subscribers(ApiPtr api, const http::Request& request);
Task<http::Response> post_subscriber(ApiPtr api, const http::Request& request);
Task<http::Response> get_subscriber(ApiPtr api, const http::Request& request);
Task<http::Response> patch_subscriber(ApiPtr api, const http::Request& request);
Task<http::Response> delete_subscriber(ApiPtr api, const http::Request& request);
Task<http::Response> pause_subscriber(ApiPtr api, const http::Request& request);
Task<http::Response> resume_subscriber(ApiPtr api, const http::Request& request);
Task<http::Response> rotate_secret(ApiPtr api, const http::Request& request);

Task<http::Response> replay_events(ApiPtr api, const http::Request& request);  // replay.cpp

Task<http::Response> test_subscriber(ApiPtr api, const http::Request& request);   // test_send.cpp
Task<http::Response> match_subscriber(ApiPtr api, const http::Request& request);  // match.cpp
// nullptr when there is none.
SubscriberPtr find_subscriber(const SubscriberSet& all, const Uuid& id);  // match.cpp

// messages.cpp
Task<http::Response> get_events(ApiPtr api, const http::Request& request);
Task<http::Response> get_event(ApiPtr api, const http::Request& request);
Task<http::Response> cancel_event(ApiPtr api, const http::Request& request);
Task<http::Response> expunge_event(ApiPtr api, const http::Request& request);
Task<http::Response> get_messages(ApiPtr api, const http::Request& request);
Task<http::Response> get_message(ApiPtr api, const http::Request& request);
Task<http::Response> retry_message(ApiPtr api, const http::Request& request);

// dlq.cpp
Task<http::Response> get_dead_letters(ApiPtr api, const http::Request& request);
Task<http::Response> get_dead_letter(ApiPtr api, const http::Request& request);
Task<http::Response> retry_dead_letter(ApiPtr api, const http::Request& request);
Task<http::Response> retry_dead_letters(ApiPtr api, const http::Request& request);
Task<http::Response> discard_dead_letter(ApiPtr api, const http::Request& request);
Task<http::Response> export_dead_letters(ApiPtr api, const http::Request& request);

}  // namespace eventhub::api
