// Lends connections by origin, first come first served, and closes what nobody uses; client.cpp
// opens them.
#include "http/connection_pool.hpp"

#include <algorithm>
#include <utility>

namespace eventhub::http {
namespace {

// A kept connection that rested longer is looked at before it is used: one system call against a
// request that is lost on a connection the receiver has closed.
constexpr Millis kTrustIdle{50};
// A connection is not kept for ever, so that a change of the name's address is noticed.
constexpr Millis kAgeMax{300'000};
constexpr int kScansPerIdleTime = 8;

}  // namespace

struct Origin {
  bool tls = false;
  std::uint16_t port = 0;
  std::string host;
  std::size_t open = 0;                           // in use, being opened and idle
  std::vector<std::unique_ptr<Connection>> idle;  // longest idle first
  std::deque<LeaseWaiter*> waiting;
};

Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      origin_(std::exchange(other.origin_, nullptr)),
      connection_(std::move(other.connection_)),
      keep_(std::exchange(other.keep_, false)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  pool_ = std::exchange(other.pool_, nullptr);
  origin_ = std::exchange(other.origin_, nullptr);
  connection_ = std::move(other.connection_);
  keep_ = std::exchange(other.keep_, false);
  return *this;
}

void Lease::release() {
  ConnectionPool* pool = std::exchange(pool_, nullptr);
  if (pool == nullptr) return;
  if (!keep_) connection_.reset();
  pool->give_back(*origin_, std::move(connection_));
}

std::size_t ConnectionPool::Hash::operator()(const KeyView& key) const {
  return std::hash<std::string_view>{}(key.host) * 31 + key.port * 2U + (key.tls ? 1U : 0U);
}

ConnectionPool::ConnectionPool(const Executor& executor, const Clock& clock, Limits limits)
    : timer_(executor), clock_(clock), limits_(limits), alive_(std::make_shared<bool>(true)) {}

ConnectionPool::~ConnectionPool() = default;

Origin& ConnectionPool::find_or_add(const Url& url) {
  const auto found = origins_.find(key_of(url));
  if (found != origins_.end()) return *found->second;
  auto origin = std::make_unique<Origin>();
  origin->tls = url.tls;
  origin->port = url.port;
  origin->host = url.host;
  return *origins_.emplace(Key(key_of(url)), std::move(origin)).first->second;
}

std::unique_ptr<Connection> ConnectionPool::take_idle(Origin& origin, bool careful) {
  const Mono now = clock_.mono();
  while (!origin.idle.empty()) {
    auto connection = std::move(origin.idle.back());
    origin.idle.pop_back();
    --idle_;
    const auto rested = now - connection->idle_since;
    const bool usable = rested < limits_.idle_time && now - connection->opened_at < kAgeMax;
    const bool trusted = !careful && rested < kTrustIdle;
    if (usable && (trusted || !connection->stale())) return connection;
    --origin.open;
  }
  return nullptr;
}

Lease ConnectionPool::take(const Url& url, bool careful) {
  Origin& origin = find_or_add(url);
  if (auto connection = take_idle(origin, careful)) return {*this, origin, std::move(connection)};
  if (origin.open >= limits_.per_origin) return {};
  ++origin.open;
  return {*this, origin, nullptr};
}

void ConnectionPool::wait(const Url& url, LeaseWaiter& waiter) {
  find_or_add(url).waiting.push_back(&waiter);
}

void ConnectionPool::give_up(const Url& url, LeaseWaiter& waiter) {
  const auto found = origins_.find(key_of(url));
  if (found == origins_.end()) return;
  std::erase(found->second->waiting, &waiter);
  forget_if_empty(*found->second);
}

void ConnectionPool::give_back(Origin& origin, std::unique_ptr<Connection> connection) {
  if (!closed_ && !origin.waiting.empty()) {
    // Who waits may be at most once, and a busy origin never rests: here age and state are looked
    // at, too.
    const bool old = connection && clock_.mono() - connection->opened_at >= kAgeMax;
    if (connection && (old || connection->stale())) connection.reset();
    LeaseWaiter* next = origin.waiting.front();
    origin.waiting.pop_front();
    next->granted(Lease(*this, origin, std::move(connection)));
  } else if (!closed_ && connection) {
    put_idle(origin, std::move(connection));
  } else {
    --origin.open;
    forget_if_empty(origin);
  }
}

void ConnectionPool::put_idle(Origin& origin, std::unique_ptr<Connection> connection) {
  connection->idle_since = clock_.mono();
  origin.idle.push_back(std::move(connection));
  if (++idle_ > limits_.idle) evict_oldest_idle();
  if (!scanning_) arm_scan();
}

// Only when the number of idle connections is at its limit: many origins with rare requests.
void ConnectionPool::evict_oldest_idle() {
  Origin* oldest = nullptr;
  for (const auto& [key, origin] : origins_) {
    if (origin->idle.empty()) continue;
    if (!oldest || origin->idle.front()->idle_since < oldest->idle.front()->idle_since) {
      oldest = origin.get();
    }
  }
  if (oldest == nullptr) return;
  oldest->idle.erase(oldest->idle.begin());
  --idle_;
  --oldest->open;
  forget_if_empty(*oldest);
}

void ConnectionPool::forget_if_empty(Origin& origin) {
  if (origin.open > 0 || !origin.waiting.empty()) return;
  const auto found = origins_.find(KeyView{origin.tls, origin.port, origin.host});
  if (found != origins_.end()) origins_.erase(found);
}

void ConnectionPool::arm_scan() {
  scanning_ = true;
  timer_.expires_after(std::max(limits_.idle_time / kScansPerIdleTime, Millis{10}));
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](error_code error) {
    if (alive.expired()) return;
    scanning_ = false;
    if (error) return;
    close_old();
    if (idle_ > 0) arm_scan();
  });
}

void ConnectionPool::close_old() {
  const Mono limit = clock_.mono() - limits_.idle_time;
  for (auto item = origins_.begin(); item != origins_.end();) {
    Origin& origin = *item->second;
    const std::size_t closed = std::erase_if(
        origin.idle, [limit](const auto& connection) { return connection->idle_since <= limit; });
    idle_ -= closed;
    origin.open -= closed;
    const bool empty = origin.open == 0 && origin.waiting.empty();
    item = empty ? origins_.erase(item) : std::next(item);
  }
}

void ConnectionPool::close() {
  closed_ = true;
  timer_.cancel();
  for (const auto& [key, origin] : origins_) {
    origin->open -= origin->idle.size();
    idle_ -= origin->idle.size();
    origin->idle.clear();
  }
}

}  // namespace eventhub::http
