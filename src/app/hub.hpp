#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/api/api.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/http/master_keys.hpp"
#include "eventhub/http/server.hpp"
#include "eventhub/store/context.hpp"
#include "eventhub/store/disk_guard.hpp"
#include "eventhub/store/ingest.hpp"
#include "eventhub/store/keys.hpp"
#include "eventhub/store/server_watch.hpp"

namespace eventhub::app {

// One process: everything its roles share, the roles, and their life: listen, prepare, work, drain.
class Hub {
 public:
  // `config.database` is the database to use (the embedded one when it runs). Throws ConfigError.
  explicit Hub(Config config);
  // Until a signal or a failure, drained. The exit code.
  int run();
  // Whether every coroutine ended, so that the hub can be destroyed; else end the process as it is.
  bool finished() const { return context_.stopped(); }

 private:
  // Something that works until it is stopped.
  struct Part {
    std::string name;
    bool ended = false;
  };

  void listen();
  Task<void> live();
  Task<void> read_first();
  Task<void> prepare();
  void check_door() const;
  void tell_door() const;
  void start();
  void start_part(std::string name, Task<void> work);
  Task<void> run_part(Part& part, Task<void> work);
  Task<void> watch();
  void looked(Millis late);
  Task<void> drain();
  Task<bool> ended(std::string name, Mono deadline);
  void wait_for_signal();
  void fail(std::string_view what, std::string_view why);

  Config config_;
  boost::asio::io_context context_{1};
  boost::asio::signal_set signals_;
  SystemClock clock_;
  Metrics metrics_;
  store::Database database_;
  Uuid node_;
  store::Wakeups wakeups_;
  store::Partitions partitions_;
  http::MasterKeys master_keys_;
  store::Subscribers subscribers_;
  store::Keys keys_;
  store::Context shared_;
  std::unique_ptr<store::Ingest> ingest_;
  api::Health health_;
  store::ServerWatch server_watch_;
  store::DiskGuard disk_guard_;
  http::Server server_;
  Metrics monitor_metrics_{1};             // of a server whose connections are nobody's business
  std::unique_ptr<http::Server> monitor_;  // server.metrics_port
  std::vector<std::unique_ptr<store::Role>> roles_;
  std::vector<std::unique_ptr<Part>> parts_;
  Wakeup stopping_;  // a signal, or a part that ended
  Wakeup part_ended_;
  int signals_seen_ = 0;
  bool stop_ = false;
  bool over_ = false;
  int exit_code_ = 0;
};

}  // namespace eventhub::app
