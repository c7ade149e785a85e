#pragma once
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>

#include "eventhub/core/retry.hpp"
#include "eventhub/http/client.hpp"
#include "http/client_deadlines.hpp"
#include "http/connection_pool.hpp"
#include "http/resolver.hpp"

namespace eventhub::http {

// One attempt in the air: its deadline, what it waits for and what is known of its result. When the
// deadline passes or the client closes, expire() closes the connection and wakes the wait,
// whichever it is; over() then says why.
class Exchange final : public Timed, public ResolveWaiter, public LeaseWaiter {
 public:
  enum class Stage { waiting, resolving, connecting, handshake, sending, answer };

  Exchange(Deadlines& deadlines, ConnectionPool& pool, Resolver& resolver, const Url& url,
           Millis timeout, Mono start, const bool& closed);
  ~Exchange();

  const Url& url() const { return url_; }
  Millis timeout() const { return timeout_; }
  bool over() const { return over_; }
  // The same by the clock: after a stall of the process others may come before the timer.
  bool over_by(Mono now);

  // Ways to wait; both return early when over().
  Task<void> wait_for_lease();
  Task<AddressesPtr> resolve();

  // The attempt failed in this stage: a time-out when over(), else a network error with this text.
  void fail(std::string error);
  void answered(int status, Mono now);
  void refuse(std::string reason);

  // Full duplex: writes what is left of the request while the answer is being read.
  void write_beside(const Executor& executor, std::string_view body, std::size_t written);
  bool writing() const { return writing_; }
  // Until nothing refers to the connection and the body any more; soon after a close().
  Task<void> writing_ended();
  AttemptResult finish(Mono now);

  Stage stage = Stage::waiting;
  Lease lease;
  AttemptResult result;

 private:
  void expire() override;
  void resolved(AddressesPtr addresses) override;
  void granted(Lease granted) override;
  Task<void> write_rest(std::string_view body, std::size_t written);
  void stop_writing();
  Task<void> park();
  void wake();

  ConnectionPool& pool_;
  Resolver& resolver_;
  const Url& url_;
  Millis timeout_;
  Mono start_;
  const bool& closed_;  // the client is closed: over() is no time-out
  bool over_ = false;
  bool awake_ = false;
  bool writing_ = false;
  enum class Queue { none, pool, resolver } queue_ = Queue::none;
  AddressesPtr addresses_;
  std::optional<boost::asio::steady_timer> parked_;
};

}  // namespace eventhub::http
