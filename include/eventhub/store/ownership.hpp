#pragma once
#include <cstdint>
#include <set>
#include <vector>

#include "eventhub/core/lanes.hpp"
#include "eventhub/core/server_clock.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// What the heartbeat learned in its transaction.
struct NodesSeen {
  int dispatchers = 1;  // live ones, this one included
  bool remote_dispatchers = false;
  std::int64_t subscribers_version = -1;
  std::int64_t expunged = 0;      // rises when a payload is taken away
  std::int64_t expire_below = 0;  // sequencer.expire_below
  bool unhealthy = false;         // the table subscriber_health has rows
};

// Which shards this process owns: session advisory locks on one connection, on which all results
// are written too. If the session is gone its writes cannot commit; if it lives nobody else can own
// the shard.
class Ownership {
 public:
  explicit Ownership(Context& context) : context_(context), clock_(context.clock) {}

  // A new session: registers the node with the backend's pid, and says that what it lost with the
  // one before was not lost by a crash. Nothing is owned.
  Task<void> connect();
  void disconnect();
  bool connected() const { return session_ && session_->healthy(); }
  pg::Connection& session() { return *session_; }
  const std::set<std::int16_t>& owned() const { return owned_; }
  std::vector<std::int16_t> owned_list() const { return {owned_.begin(), owned_.end()}; }

  // A committed UPDATE of `nodes` and what can be learned on the way. Run them in any batch on the
  // session, then call heard() with their results and the time the batch was SENT.
  std::vector<pg::Call> heartbeat();
  NodesSeen heard(std::span<const pg::Result> results, Mono sent);
  // The server's, by its answers to connect() and to heartbeats.
  const ServerClock& clock() const { return clock_; }
  // Whether a send may start: the last committed heartbeat was sent less than send_lease ago.
  bool may_send() const;

  // Tries to lock up to `count` shards nobody owns, marks them and reads what a rebuild must know.
  Task<std::vector<Takeover>> acquire(int count);
  // Hands shards over: clean when nothing of them is in the air or uncommitted.
  Task<void> release(std::vector<std::int16_t> shards, bool clean);
  // Says goodbye: removes the node's row.
  Task<void> leave();

 private:
  Task<std::vector<std::int16_t>> lock_free_shards(int count);
  Task<void> read_parked(std::vector<Takeover>& takeovers);
  Context& context_;
  ServerClock clock_;
  pg::ConnectionPtr session_;
  std::set<std::int16_t> owned_;
  std::set<std::int16_t> lost_;  // with the last session, while this process lives on
  std::set<std::int16_t> told_;  // acquire() told of the last take-over; outlives the session
  Mono heartbeat_sent_{};
  int tried_from_ = 0;
};

}  // namespace eventhub::store
