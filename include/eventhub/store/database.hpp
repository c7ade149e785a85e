#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "eventhub/core/config.hpp"
#include "eventhub/pg/connection.hpp"

namespace eventhub::store {

// How a connection will be used.
enum class Profile {
  general,  // planner defaults; people's and cleanup's queries, rebuild
  hot,      // force_generic_plan, no seqscan, no bitmapscan, no jit: plans cannot flip
  lock,     // hot + idle_session_timeout: holds session locks, so a frozen process loses them
};

// Advisory lock numbers within the schema's lock space.
enum class Lock : std::int32_t {
  ordering = 1,
  sequencer = 2,
  migrate = 3,
  cleanup = 4,
  partitions = 5,
  shard_0 = 100,  // shard n is 100 + n
};

// Makes connections and lends pooled general ones. connections_max bounds all of them; waiting for a pooled
// one ends with pg::Error (53300) after connect_timeout.
class Database {
 public:
  Database(Executor executor, const DatabaseConfig& config, Metrics& metrics);
  ~Database();

  Task<pg::ConnectionPtr> connect(Profile profile);

  // A pooled general connection, given back at the end of its life (dropped when broken).
  class Lease {
   public:
    Lease(Database* database, pg::ConnectionPtr connection);
    Lease(Lease&&) noexcept;
    ~Lease();
    pg::Connection* operator->() { return connection_.get(); }
    pg::Connection& operator*() { return *connection_; }

   private:
    Database* database_;
    pg::ConnectionPtr connection_;
  };
  Task<Lease> lease();

  // First key of two-key advisory locks: the schema's oid. Valid after load().
  std::int32_t lock_space() const { return lock_space_; }
  // Reads the schema's oid, checks encoding UTF8, fsync and synchronous_commit (warns), connections_max
  // against the server. Call after migrations.
  Task<void> load();
  const DatabaseConfig& config() const { return config_; }
  Executor executor() const { return executor_; }

 private:
  friend class Lease;
  void give_back(pg::ConnectionPtr connection);
  pg::ConnectOptions options(Profile profile) const;
  Executor executor_;
  DatabaseConfig config_;
  Metrics& metrics_;
  std::int32_t lock_space_ = 0;
  std::vector<pg::ConnectionPtr> idle_;
  int open_ = 0;
  Wakeup returned_;
};

}  // namespace eventhub::store
