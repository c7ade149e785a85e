#pragma once
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "eventhub/http/url.hpp"
#include "http/client_connection.hpp"

namespace eventhub::http {

class ConnectionPool;
struct Origin;

// The right to use one connection of an origin, and the connection once there is one. Goes back to
// the pool when it is destroyed; without keep() the connection is closed.
class Lease {
 public:
  Lease() = default;
  Lease(ConnectionPool& pool, Origin& origin, std::unique_ptr<Connection> connection)
      : pool_(&pool), origin_(&origin), connection_(std::move(connection)) {}
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() { release(); }

  explicit operator bool() const { return pool_ != nullptr; }
  Connection* connection() const { return connection_.get(); }
  void set(std::unique_ptr<Connection> connection) { connection_ = std::move(connection); }
  void keep() { keep_ = connection_ != nullptr; }
  void release();

 private:
  ConnectionPool* pool_ = nullptr;
  Origin* origin_ = nullptr;
  std::unique_ptr<Connection> connection_;
  bool keep_ = false;
};

// Who waits for a connection of a busy origin. Must give_up() before it dies.
class LeaseWaiter {
 public:
  virtual void granted(Lease lease) = 0;

 protected:
  ~LeaseWaiter() = default;
};

// Kept connections per origin (scheme, host, port). Those in use are bounded per origin, and
// altogether by the attempts in the air; idle ones by number and by age.
class ConnectionPool {
 public:
  struct Limits {
    std::size_t per_origin;
    std::size_t idle;
    Millis idle_time;
  };
  ConnectionPool(const Executor& executor, const Clock& clock, Limits limits);
  ~ConnectionPool();

  // An idle connection, else the right to open one, else (empty) the caller has to wait(). With
  // `careful` every kept connection is looked at before it is reused, else only those idle for
  // long.
  Lease take(const Url& url, bool careful);
  void wait(const Url& url, LeaseWaiter& waiter);
  void give_up(const Url& url, LeaseWaiter& waiter);
  // Closes what is idle; from now on nothing is kept or granted.
  void close();

 private:
  friend class Lease;
  struct KeyView {
    bool tls;
    std::uint16_t port;
    std::string_view host;
    bool operator==(const KeyView&) const = default;
  };
  struct Key {
    explicit Key(const KeyView& view) : tls(view.tls), port(view.port), host(view.host) {}
    operator KeyView() const { return {tls, port, host}; }
    bool tls;
    std::uint16_t port;
    std::string host;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const KeyView& a, const KeyView& b) const { return a == b; }
  };

  static KeyView key_of(const Url& url) { return {url.tls, url.port, url.host}; }
  Origin& find_or_add(const Url& url);
  std::unique_ptr<Connection> take_idle(Origin& origin, bool careful);
  void give_back(Origin& origin, std::unique_ptr<Connection> connection);
  void put_idle(Origin& origin, std::unique_ptr<Connection> connection);
  void evict_oldest_idle();
  void arm_scan();
  void close_old();
  void forget_if_empty(Origin& origin);

  boost::asio::steady_timer timer_;
  const Clock& clock_;
  Limits limits_;
  std::unordered_map<Key, std::unique_ptr<Origin>, Hash, Equal> origins_;
  std::size_t idle_ = 0;
  bool scanning_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace eventhub::http
