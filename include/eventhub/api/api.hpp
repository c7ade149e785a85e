#pragma once
#include <functional>

#include "eventhub/http/server.hpp"
#include "eventhub/store/context.hpp"
#include "eventhub/store/ingest.hpp"

namespace eventhub::api {

// What /readyz and /health tell of the process.
struct Health {
  Time started;
  bool draining = false;
  bool migrated = false;
  std::string durability_lost{};  // by which settings of PostgreSQL; empty: a 202 is durable
};

// Routes of the process: /health, /livez, /readyz and /metrics on every role, POST /events when
// `ingest` is given (404 with a hint otherwise).
http::Handler make_handler(store::Context& context, store::Ingest* ingest, Health& health);
// The same without POST /events, for server.metrics_port.
http::Handler make_monitor_handler(store::Context& context, Health& health);
http::Refusal make_refusal();

}  // namespace eventhub::api
