#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "eventhub/core/async.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

// For the fan-out, dispatchers, all dispatchers about shards, every process about API keys, the
// mover of what was published by SQL (only ever sent by who published).
enum class Signal { events, messages, control, keys, outbox };
inline constexpr std::size_t kSignals = 5;

// "There may be work", inside the process at once and to other processes by NOTIFY: at most one per
// channel per 10 ms, from a connection of its own, and only when another live node has the role. A
// hint: every waiter also polls.
class Wakeups {
 public:
  Wakeups(Database& database, std::string node);
  Wakeup& of(Signal signal) { return local_[static_cast<std::size_t>(signal)]; }
  void notify(Signal signal);
  // Whether other processes listen, learned from the table `nodes` by the one who reads it.
  void set_remote(Signal signal, bool listening) {
    remote_[static_cast<std::size_t>(signal)] = listening;
  }
  // LISTENs and NOTIFYs until stop(); reconnects by itself and wakes everyone after a reconnect.
  Task<void> run();
  void stop();

 private:
  Task<void> listen();
  Task<void> listen_on_new_connection();
  Task<void> publish();
  Task<void> publish_loop();
  Task<void> send(std::array<bool, kSignals> due);
  void heard(const pg::Notification& notification);
  void wake_all();

  Database& database_;
  std::string node_;
  std::array<Wakeup, kSignals> local_;
  std::array<bool, kSignals> remote_{true, true, true, true, true};
  std::array<bool, kSignals> due_{};
  Wakeup publish_due_;
  pg::ConnectionPtr listener_, notifier_;
  int notifier_pid_ = 0;
  Millis listen_backoff_, publish_backoff_;
  Wakeup listen_stop_, publish_stop_, published_;  // one waiter each
  std::shared_ptr<pg::Abort> abort_ = std::make_shared<pg::Abort>();
  std::shared_ptr<pg::Abort> publish_abort_ = std::make_shared<pg::Abort>();
  bool stopping_ = false, publishing_ = false;
};

}  // namespace eventhub::store
