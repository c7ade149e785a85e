#pragma once
#include <optional>
#include <string>

#include "eventhub/store/context.hpp"

namespace eventhub::store {

// Keeps PostgreSQL's disk from filling up: events are refused (503) before, so that deliveries,
// retention and whoever else uses the server can go on. Judges the free space of the server's disk,
// when the server is on this machine and our role may know its directory
// (ingest.disk_free_min_bytes), and the size of the database (ingest.database_bytes_max), every
// second and every ten seconds. In processes that take events in.
class DiskGuard {
 public:
  explicit DiskGuard(Context& context) : context_(context), over_(context.executor) {}

  // Until stop(). Keeps Context::disk_full up to date.
  Task<void> run();
  void stop();

 private:
  Task<void> ask();
  std::string judge() const;
  void tell(const std::string& why);

  Context& context_;
  Wakeup over_;
  bool stopping_ = false;
  std::optional<std::string> directory_;  // the server's, when it can be seen from here
  std::int64_t database_bytes_ = 0;
};

}  // namespace eventhub::store
