// The pool behind the management API; subscriber_admin.cpp and the like run their statements on it.
#include "eventhub/store/queries.hpp"

#include <fmt/format.h>

namespace eventhub::store {

Queries::Queries(Context& context, Limits limits)
    : context_(context), limits_(limits), freed_(context.executor) {}

pg::ConnectionPtr Queries::take_idle() {
  while (!idle_.empty()) {
    pg::ConnectionPtr connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->healthy()) return connection;
  }
  return nullptr;
}

Task<pg::ConnectionPtr> Queries::open() {
  auto connection = co_await context_.database.connect(Profile::general);
  co_await connection->exec(fmt::format("SET statement_timeout = {}", limits_.statement.count()));
  co_return connection;
}

Task<Queries::Lease> Queries::lease() {
  const Mono deadline = context_.clock.mono() + limits_.wait;
  while (lent_ >= limits_.connections) {
    const auto left = std::chrono::duration_cast<Millis>(deadline - context_.clock.mono());
    if (left <= Millis{0}) {
      throw pg::Error("all connections of the API are in use", "53300", false, false);
    }
    co_await freed_.wait(left);
  }
  ++lent_;
  Lease lease(this);
  lease.connection_ = take_idle();
  if (!lease.connection_) lease.connection_ = co_await open();
  co_return lease;
}

void Queries::give_back(pg::ConnectionPtr connection) {
  --lent_;
  if (connection && connection->healthy() && !connection->in_transaction()) {
    idle_.push_back(std::move(connection));
  }
  freed_.set();
}

}  // namespace eventhub::store
