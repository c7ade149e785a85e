#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"
#include "eventhub/pg/connection.hpp"

namespace eventhub::store {

// How a connection will be used.
enum class Profile {
  general,  // planner defaults; people's and cleanup's queries, rebuild
  hot,      // force_generic_plan, no seqscan, no bitmapscan: plans cannot flip
  ingest,   // hot, but with bitmapscan: a hash index finds many keys in no other way
  lock,     // hot + idle_session_timeout: holds session locks, so a frozen process loses them
};

// Advisory lock numbers within the schema's lock space.
enum class Lock : std::int32_t {
  ordering = 1,
  sequencer = 2,
  migrate = 3,
  cleanup = 4,
  partitions = 5,
  outbox = 6,
  shard_0 = 100,  // shard n is 100 + n
};

// Makes connections and lends pooled general ones. connections_max bounds all of them; waiting for
// one ends with pg::Error (53300) after connect_timeout. Leases and connections may outlive it, in
// a coroutine that an io_context destroys at its own end.
class Database {
  struct Places;  // how many are open, shared with leases and connections

 public:
  // `lock_idle_timeout`: idle_session_timeout of Profile::lock (dispatcher.idle_session_timeout).
  Database(Executor executor, const DatabaseConfig& config, Metrics& metrics,
           Millis lock_idle_timeout = Millis{10'000});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // `abort` gives up an attempt that hangs, so that a stop need not wait for connect_timeout.
  Task<pg::ConnectionPtr> connect(Profile profile, std::shared_ptr<pg::Abort> abort = nullptr);

  // A pooled general connection, given back at the end of its life (dropped when broken or left
  // inside a transaction). Whoever changes its settings undoes that.
  class Lease {
   public:
    Lease(Database& database, pg::ConnectionPtr connection);
    Lease(Lease&&) noexcept;
    ~Lease();
    pg::Connection* operator->() { return connection_.get(); }
    pg::Connection& operator*() { return *connection_; }

   private:
    std::shared_ptr<Places> places_;
    pg::ConnectionPtr connection_;
  };
  Task<Lease> lease();

  // First key of two-key advisory locks: the schema's oid. Valid after load().
  std::int32_t lock_space() const { return lock_space_; }
  // Reads the schema's oid, checks encoding UTF8 and connections_max against the server;
  // std::runtime_error says what to do. Call after migrations.
  Task<void> load();
  const DatabaseConfig& config() const { return config_; }
  Executor executor() const { return executor_; }
  // Set whenever a connection was made: the server may be another one since. For one waiter.
  Wakeup& opened() { return opened_; }

 private:
  friend class Lease;
  struct Waiter;
  void give_back(pg::ConnectionPtr connection);
  pg::ConnectOptions options(Profile profile) const;
  std::shared_ptr<void> take_place();
  pg::ConnectionPtr take_idle();
  Task<void> wait_for_place(Mono deadline);
  Task<pg::ConnectionPtr> open(Profile profile, std::shared_ptr<void> place,
                               std::shared_ptr<pg::Abort> abort);
  void place_freed();
  void count();

  Executor executor_;
  DatabaseConfig config_;
  Metrics& metrics_;
  Millis lock_idle_timeout_;
  std::int32_t lock_space_ = 0;
  std::deque<pg::ConnectionPtr> idle_;
  std::deque<std::shared_ptr<Waiter>> waiters_;
  std::shared_ptr<Places> places_;
  Wakeup opened_;
};

}  // namespace eventhub::store
