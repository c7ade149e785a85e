// The end of a hub process: the first signal drains, the second one exits. Order of a drain: no new
// requests, no new attempts; requests under way need ingest, so that ends after the server;
// everything uses the wake-ups, so they end last, but for the monitor, which tells of all that. All
// within drain_timeout. What was not started yet ends at once.
#include <unistd.h>

#include "app/hub.hpp"
#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"

namespace eventhub::app {
namespace {

constexpr int kExitInterrupted = 130;

}  // namespace

void Hub::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (++signals_seen_ > 1) {
      log::warn("second signal: exiting at once", {{"signal", number}});
      log::flush(200);
      ::_exit(kExitInterrupted);
    }
    log::info("draining",
              {{"signal", number}, {"seconds_max", config_.drain_timeout.count() / 1000}});
    stop_ = true;
    stopping_.set();
    wait_for_signal();
  });
}

void Hub::fail(std::string_view what, std::string_view why) {
  log::error("stopping", {{"part", what}, {"reason", why}});
  exit_code_ = 1;
  stop_ = true;
  stopping_.set();
}

Task<void> Hub::drain() {
  const Mono deadline = clock_.mono() + config_.drain_timeout;
  health_.draining = true;
  EVENTHUB_FAULT_POINT("drain.start");
  server_.stop();
  for (const auto& role : roles_) role->stop();
  bool all = co_await ended("server", deadline);
  if (ingest_) {
    ingest_->stop();
    const bool committed = co_await ended("ingest", deadline);
    all = all && committed;
  }
  for (const auto& role : roles_) {
    const bool done = co_await ended(std::string(role->name()), deadline);
    all = all && done;
  }
  server_watch_.stop();
  disk_guard_.stop();
  EVENTHUB_FAULT_POINT("drain.roles_ended");
  keys_.stop();
  const bool noted = co_await ended("keys", deadline);
  all = all && noted;
  wakeups_.stop();
  const bool quiet = co_await ended("wakeups", deadline + Seconds{1});
  // It may be in the middle of a question, on a connection of a database that ends with us.
  bool watched = co_await ended("server_watch", deadline + Seconds{1});
  watched = co_await ended("disk_guard", deadline + Seconds{1}) && watched;
  if (monitor_) monitor_->stop();
  co_await ended("monitor", deadline + Seconds{1});
  if (all && quiet && watched) log::info("eventhubd stopped", {{"exit_code", exit_code_}});
}

// Waits until the part has ended; false, and a warning, at the deadline.
Task<bool> Hub::ended(std::string name, Mono deadline) {
  const auto running = [this, &name] {
    for (const auto& part : parts_) {
      if (part->name == name) return !part->ended;
    }
    return false;
  };
  while (running()) {
    const auto left = std::chrono::duration_cast<Millis>(deadline - clock_.mono());
    if (left <= Millis{0}) {
      log::warn("not drained in time", {{"part", name}});
      EVENTHUB_FAULT_POINT("drain.timeout");
      co_return false;
    }
    co_await part_ended_.wait(left);
  }
  co_return true;
}

}  // namespace eventhub::app
