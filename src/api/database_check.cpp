// The database probe of /health and /readyz. Called by health.cpp.
#include "database_check.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace asio = boost::asio;

namespace eventhub::api {
namespace {

constexpr Millis kFreshFor{1'000};
constexpr Millis kLimit{2'000};
const pg::Statement kPing{"health_ping", "SELECT 1"};

}  // namespace

DatabaseCheck::DatabaseCheck(store::Context& context)
    : context_(context), limit_(context.executor) {}

bool DatabaseCheck::fresh() const {
  return known_ && context_.clock.mono() - known_at_ <= kFreshFor;
}

Task<bool> DatabaseCheck::answers() {
  auto self = shared_from_this();
  if (fresh()) co_return result_;
  if (!asking_) {
    asking_ = true;
    limit_.expires_after(kLimit);
    spawn(context_.executor, "health_check", ask(self));
  }
  if (asking_) co_await limit_.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return fresh() && result_;
}

Task<void> DatabaseCheck::ask(std::shared_ptr<DatabaseCheck> self) {
  bool good = false;
  try {
    auto connection = co_await self->context_.database.lease();
    const pg::Result answer = co_await connection->run(kPing, {});
    good = answer.rows() == 1;
  } catch (const std::exception&) {
    good = false;  // the answer tells; the roles log why
  }
  self->asking_ = false;
  self->result_ = good;
  self->known_ = true;
  self->known_at_ = self->context_.clock.mono();
  self->limit_.cancel();
}

}  // namespace eventhub::api
