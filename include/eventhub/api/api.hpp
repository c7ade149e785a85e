#pragma once
#include <functional>

#include "eventhub/http/server.hpp"
#include "eventhub/store/context.hpp"
#include "eventhub/store/ingest.hpp"
#include "eventhub/store/keys.hpp"

namespace eventhub::api {

// What /readyz and /health tell of the process.
struct Health {
  Time started;
  bool draining = false;
  bool migrated = false;
  std::string durability_lost{};  // by which settings of PostgreSQL; empty: a 202 is durable
};

// What a process lets in, by its settings and the keys there are.
enum class Door {
  keyed,                 // a key is asked for
  open_to_this_machine,  // no key, and only this machine can reach it
  open_to_all,           // no key, and server.insecure
  refused,               // no key, and others can reach it: not to be started
};
Door door(const Config& config, const store::KeySet& keys);

// Routes of the process: /health, /livez, /readyz and /metrics on every role, events and management
// when `ingest` is given (404 with a hint otherwise).
http::Handler make_handler(store::Context& context, store::Keys& keys, store::Ingest* ingest,
                           Health& health);
// For server.metrics_port: the same without events, and with management only when it is there
// (server.management_on_metrics_port).
http::Handler make_monitor_handler(store::Context& context, store::Keys& keys, Health& health);
http::Refusal make_refusal();

}  // namespace eventhub::api
