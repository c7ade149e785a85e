#pragma once
#include <memory>

#include "eventhub/store/lock_session.hpp"

namespace eventhub::store {

// What was published by SQL (eventhub.publish) becomes events: the session that may hold the outbox
// lock, and moves. A row goes and its event comes in one transaction, so that each is there once
// whatever dies. After any exception throw it away and begin anew.
class Outbox {
 public:
  static Task<std::unique_ptr<Outbox>> connect(Context& context);
  Task<bool> try_acquire() { return connection_.try_acquire(); }
  Task<void> release() { return connection_.release(); }

  // One transaction: at most as many rows and bytes as ingest has in one. True when there may be
  // more.
  Task<bool> move();

 private:
  Outbox(Context& context, LockSession connection)
      : context_(context), connection_(std::move(connection)) {}
  Task<pg::Result> try_move();
  Task<void> make_room();
  void tell(const pg::Result& moved);

  Context& context_;
  LockSession connection_;
  bool more_ = false;  // by the last move
};

}  // namespace eventhub::store
