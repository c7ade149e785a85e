#pragma once
#include <set>
#include <string>

#include "eventhub/store/context.hpp"

namespace eventhub::store {

// Looks at the server for what weakens the promises of the hub (fsync, the session's settings, the
// clock): before the roles start, after every new connection, because a fail-over may have put
// another server there, and every ten seconds, because a reload changes settings. At the start a
// weakness may be a reason to refuse; a running hub goes on and says so.
class ServerWatch {
 public:
  // `durability_lost` is kept up to date, for /health.
  ServerWatch(Context& context, std::string& durability_lost)
      : context_(context), durability_lost_(durability_lost) {}

  // std::runtime_error says why not to start and what to do.
  Task<void> first();
  // Until stop().
  Task<void> run();
  void stop();

 private:
  Task<std::string> look();

  Context& context_;
  std::string& durability_lost_;
  std::set<std::string> told_;  // settings in the log
  bool stopping_ = false;
};

}  // namespace eventhub::store
