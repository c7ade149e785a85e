#pragma once
#include <cstdint>
#include <deque>
#include <utility>

#include "eventhub/store/context.hpp"

namespace eventhub::store {

// Connections for what people ask by the API: their own, few, and with a short statement_timeout,
// so that no question is in the way of an event or a delivery. Who finds none free waits a while,
// then gets pg::Error (53300). Outlives its leases.
class Queries {
 public:
  struct Limits {
    int connections = 2;
    Millis statement{5'000};
    Millis wait{2'000};
  };
  explicit Queries(Context& context) : Queries(context, Limits{}) {}
  Queries(Context& context, Limits limits);

  class Lease {
   public:
    explicit Lease(Queries* queries) : queries_(queries) {}
    Lease(Lease&& other) noexcept
        : queries_(std::exchange(other.queries_, nullptr)),
          connection_(std::move(other.connection_)) {}
    ~Lease() {
      if (queries_ != nullptr) queries_->give_back(std::move(connection_));
    }
    pg::Connection* operator->() { return connection_.get(); }
    pg::Connection& operator*() { return *connection_; }

   private:
    friend class Queries;
    Queries* queries_;
    pg::ConnectionPtr connection_;
  };
  Task<Lease> lease();

 private:
  friend class Lease;
  Task<pg::ConnectionPtr> open();
  pg::ConnectionPtr take_idle();
  void give_back(pg::ConnectionPtr connection);

  Context& context_;
  Limits limits_;
  Wakeup freed_;
  std::deque<pg::ConnectionPtr> idle_;
  int lent_ = 0;
};

}  // namespace eventhub::store
