// Session locks of the roles of which the hub has one each: sequencer.cpp and housekeeping.cpp.
#include "eventhub/store/lock_session.hpp"

namespace eventhub::store {
namespace {

const pg::Statement kTryLock{"session_lock", "SELECT pg_try_advisory_lock($1, $2)"};
const pg::Statement kReleaseSession{"session_unlock", "SELECT pg_advisory_unlock($1, $2)"};

}  // namespace

Task<LockSession> LockSession::open(Context& context, Lock lock) {
  pg::ConnectionPtr connection = co_await context.database.connect(Profile::lock);
  co_return LockSession(std::move(connection), context.database.lock_space(), lock);
}

pg::Params LockSession::key() const {
  pg::Params params;
  params.i32(space_).i32(static_cast<std::int32_t>(lock_));
  return params;
}

Task<bool> LockSession::try_acquire() {
  pg::Params params = key();
  const pg::Result locked = co_await connection_->run(kTryLock, std::move(params));
  co_return locked.boolean(0, 0);
}

Task<void> LockSession::release() {
  pg::Params params = key();
  co_await connection_->run(kReleaseSession, std::move(params));
}

pg::Call LockSession::unlock() const {
  return {&kReleaseSession, key()};
}

}  // namespace eventhub::store
