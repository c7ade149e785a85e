#pragma once
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// A session for a lock that one session of the hub holds. Its holder writes on this very session:
// when it is gone the lock is free and nothing of it can commit any more.
class LockSession {
 public:
  static Task<LockSession> open(Context& context, Lock lock);

  // Takes the lock unless another session has it.
  Task<bool> try_acquire();
  Task<void> release();
  // release() as a call, for a transaction that writes something last.
  pg::Call unlock() const;
  pg::Connection* operator->() { return connection_.get(); }

 private:
  LockSession(pg::ConnectionPtr connection, std::int32_t space, Lock lock)
      : connection_(std::move(connection)), space_(space), lock_(lock) {}
  pg::Params key() const;

  pg::ConnectionPtr connection_;
  std::int32_t space_;
  Lock lock_;
};

}  // namespace eventhub::store
