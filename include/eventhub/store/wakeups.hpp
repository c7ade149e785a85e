#pragma once
#include <array>
#include <map>
#include <string>

#include "eventhub/core/async.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

enum class Signal { events, messages, control };  // for fan-out, dispatchers, everyone

// "There may be work", inside the process at once and to other processes by NOTIFY: at most one per channel
// per 10 ms, from a connection of its own, and only when another live node has the role. A hint: every
// waiter also polls.
class Wakeups {
 public:
  Wakeups(Database& database, std::string node);
  Wakeup& of(Signal signal);
  void notify(Signal signal);
  // Whether other processes listen, learned from the table `nodes` by the one who reads it.
  void set_remote(Signal signal, bool listening);
  // LISTENs and NOTIFYs until stop(); reconnects by itself and wakes everyone after a reconnect.
  Task<void> run();
  void stop();

 private:
  Task<void> listen();
  Task<void> publish();
  Database& database_;
  std::string node_;
  std::array<Wakeup, 3> local_;
  std::array<bool, 3> remote_{true, true, true};
  std::array<bool, 3> due_{};
  Wakeup publish_due_;
  pg::ConnectionPtr listener_, notifier_;
  bool stopping_ = false;
};

}  // namespace eventhub::store
