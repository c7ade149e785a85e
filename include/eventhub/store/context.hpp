#pragma once
#include <string>
#include <string_view>

#include "eventhub/core/config.hpp"
#include "eventhub/core/fresh_events.hpp"
#include "eventhub/core/fresh_headers.hpp"
#include "eventhub/core/fresh_messages.hpp"
#include "eventhub/core/ids.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/store/database.hpp"
#include "eventhub/store/partitions.hpp"
#include "eventhub/store/subscribers.hpp"
#include "eventhub/store/wakeups.hpp"

namespace eventhub::store {

// What every module of a process shares, built once by the app, outliving all of them.
struct Context {
  Executor executor;
  const Config& config;
  const Clock& clock;
  Metrics& metrics;
  Database& database;
  Wakeups& wakeups;
  Partitions& partitions;
  Subscribers& subscribers;
  Uuid node;  // this process, new at each start
  // Messages up to this event_seq were committed by this process, if it fans out.
  std::int64_t local_horizon = 0;
  // What it accepted and fanned out last, for the roles beside: while it fans out, if it
  // dispatches.
  bool fans_out = false;
  FreshHeaders fresh_headers{};
  FreshEvents fresh_events{};
  FreshMessages fresh_messages{};
  // Why there is no room for events (store::DiskGuard); empty: there is.
  std::string disk_full{};
};

// A module of the process: api, fanout, dispatcher, cleanup.
class Role {
 public:
  virtual ~Role() = default;
  virtual std::string_view name() const = 0;
  // Works until stop() and what was begun is finished. Database faults are its own to outlive: it
  // logs, waits and begins anew. An exception that leaves it stops the process.
  virtual Task<void> run() = 0;
  // Begin to drain: take nothing new. run() returns when done.
  virtual void stop() = 0;
  // The process was frozen, starved or busy: its loop came round so much later than it should.
  virtual void held_up(Millis /*late*/) {}
};

}  // namespace eventhub::store
