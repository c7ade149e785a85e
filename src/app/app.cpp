// run_hub: the private PostgreSQL when wanted, then the hub (hub.cpp), then the exit code.
#include "eventhub/app/app.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "app/hub.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/embedded.hpp"

namespace eventhub {
namespace {

constexpr int kFlushMillis = 1'000;

void name_worker(Config& config) {
  if (!config.worker_id.empty()) return;
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  config.worker_id = std::string(host) + ":" + std::to_string(::getpid());
}

// The soft limit is often 1024, for programs that use select(). We have as many sockets as
// server.connections_max and dispatcher.in_flight_max say.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warn("cannot raise the limit of open files");
}

// A core file holds secrets and payloads. With the address sanitizer it cannot be forbidden: its
// leak checker attaches to the process as a debugger does.
void forbid_core_dumps() {
#ifndef EVENTHUB_SANITIZED
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) log::warn("cannot forbid core files");
#endif
}

// What did not end in time still refers to its hub, which therefore lives as long as the process.
app::Hub* abandoned = nullptr;

int run_with_database(Config config) {
  auto hub = std::make_unique<app::Hub>(std::move(config));
  try {
    const int code = hub->run();
    if (!hub->finished()) abandoned = hub.release();
    return code;
  } catch (...) {
    abandoned = hub.release();
    throw;
  }
}

}  // namespace

int run_hub(Config config) {
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  static_cast<void>(std::signal(SIGHUP, SIG_IGN));
  name_worker(config);
  raise_descriptor_limit();
  if (!config.core_dumps) forbid_core_dumps();
  std::unique_ptr<store::EmbeddedPostgres> embedded;
  try {
    if (config.embedded.enabled) {
      embedded = store::EmbeddedPostgres::start(config.embedded);
      config.database = embedded->connection(config.database);
    }
    return run_with_database(std::move(config));
  } catch (const ConfigError&) {
    throw;
  } catch (const std::exception& error) {
    log::error("eventhubd cannot run", {{"reason", error.what()}});
    log::flush(kFlushMillis);
    return 1;
  }
}

}  // namespace eventhub
