// Opens connections within their bound and keeps a pool of general ones; session.cpp says how a
// session is set up, pg::Connection does the rest. load() is in database_load.cpp.
#include "eventhub/store/database.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "store/session.hpp"

namespace eventhub::store {

namespace asio = boost::asio;

// Connections may live longer than the Database.
struct Database::Places {
  int open = 0;
  Database* database;
};

// One coroutine that waits for a connection; the first to come is the first to be woken.
struct Database::Waiter {
  explicit Waiter(const Executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool woken = false;
};

Database::Database(Executor executor, const DatabaseConfig& config, Metrics& metrics,
                   Millis lock_idle_timeout)
    : executor_(std::move(executor)),
      config_(config),
      metrics_(metrics),
      lock_idle_timeout_(lock_idle_timeout),
      places_(std::make_shared<Places>(Places{0, this})),
      opened_(executor_) {}

Database::~Database() {
  places_->database = nullptr;
  idle_.clear();
}

pg::ConnectOptions Database::options(Profile profile) const {
  return session_options(config_, profile, lock_idle_timeout_);
}

std::shared_ptr<void> Database::take_place() {
  if (places_->open >= config_.connections_max) return nullptr;
  ++places_->open;
  return {places_.get(), [places = places_](void*) {
            --places->open;
            if (places->database != nullptr) places->database->place_freed();
          }};
}

void Database::place_freed() {
  count();
  if (waiters_.empty()) return;
  const std::shared_ptr<Waiter> first = waiters_.front();
  waiters_.pop_front();
  first->woken = true;
  first->timer.cancel();
}

void Database::count() {
  const auto idle = static_cast<int>(idle_.size());
  metrics_.db_connections("idle", idle);
  metrics_.db_connections("in_use", places_->open - idle);
}

pg::ConnectionPtr Database::take_idle() {
  while (!idle_.empty()) {
    pg::ConnectionPtr connection = std::move(idle_.back());
    idle_.pop_back();
    count();
    if (connection->healthy()) return connection;
  }
  return nullptr;
}

// Returns when it is worth another look.
Task<void> Database::wait_for_place(Mono deadline) {
  const auto waiter = std::make_shared<Waiter>(executor_);
  waiter->timer.expires_at(deadline);
  waiters_.push_back(waiter);
  co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter->woken) co_return;
  std::erase(waiters_, waiter);
  throw pg::Error("all " + std::to_string(config_.connections_max) +
                      " database connections are in use (database.connections_max)",
                  "53300", false, false);
}

Task<pg::ConnectionPtr> Database::open(Profile profile, std::shared_ptr<void> place,
                                       std::shared_ptr<pg::Abort> abort) {
  pg::ConnectOptions wanted = options(profile);
  wanted.lease = std::move(place);
  wanted.abort = std::move(abort);
  std::string target = describe(wanted);
  count();
  try {
    auto connection = co_await pg::Connection::open(std::move(wanted), &metrics_);
    opened_.set();
    co_return connection;
  } catch (const pg::Error& error) {
    std::string message = "cannot connect to " + target + ": " + error.what();
    if (error.sqlstate.empty()) {
      message += " (is it running there? --embedded starts a private PostgreSQL)";
    }
    throw pg::Error(message, error.sqlstate, true, false);
  }
}

Task<pg::ConnectionPtr> Database::connect(Profile profile, std::shared_ptr<pg::Abort> abort) {
  const Mono deadline = SystemClock{}.mono() + config_.connect_timeout;
  for (;;) {
    auto place = take_place();
    if (!place && !idle_.empty()) {  // a pooled one makes room
      idle_.pop_front();
      place = take_place();
    }
    if (place) {
      auto connection = co_await open(profile, std::move(place), std::move(abort));
      co_return connection;
    }
    co_await wait_for_place(deadline);
  }
}

Task<Database::Lease> Database::lease() {
  const Mono deadline = SystemClock{}.mono() + config_.connect_timeout;
  for (;;) {
    auto connection = take_idle();
    if (connection) co_return Lease(*this, std::move(connection));
    auto place = take_place();
    if (place) {
      auto opened = co_await open(Profile::general, std::move(place), nullptr);
      co_return Lease(*this, std::move(opened));
    }
    co_await wait_for_place(deadline);
  }
}

void Database::give_back(pg::ConnectionPtr connection) {
  if (!connection->healthy() || connection->in_transaction()) return;  // its end frees the place
  idle_.push_back(std::move(connection));
  place_freed();
}

Database::Lease::Lease(Database& database, pg::ConnectionPtr connection)
    : places_(database.places_), connection_(std::move(connection)) {}

Database::Lease::Lease(Lease&&) noexcept = default;

Database::Lease::~Lease() {
  if (!connection_ || places_->database == nullptr) return;
  places_->database->give_back(std::move(connection_));
}

}  // namespace eventhub::store
