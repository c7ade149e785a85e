// The state of one attempt in the air and its ways to wait; client.cpp leads it through its stages.
#include "http/client_exchange.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace eventhub::http {
namespace {

namespace asio = boost::asio;

std::string_view words(Exchange::Stage stage) {
  switch (stage) {
    case Exchange::Stage::waiting:
      return "waiting for a free connection";
    case Exchange::Stage::resolving:
      return "resolving the name";
    case Exchange::Stage::connecting:
      return "connecting";
    case Exchange::Stage::handshake:
      return "in the TLS handshake";
    case Exchange::Stage::sending:
      return "sending the request";
    case Exchange::Stage::answer:
      return "waiting for the answer";
  }
  return "working";
}

}  // namespace

Exchange::Exchange(Deadlines& deadlines, ConnectionPool& pool, Resolver& resolver, const Url& url,
                   Millis timeout, Mono start, const bool& closed)
    : Timed(deadlines),
      pool_(pool),
      resolver_(resolver),
      url_(url),
      timeout_(timeout),
      start_(start),
      closed_(closed) {
  result.sent = false;
  expire_at(start + timeout);
}

Exchange::~Exchange() {
  if (queue_ == Queue::pool) pool_.give_up(url_, *this);
  if (queue_ == Queue::resolver) resolver_.leave(url_.host, *this);
}

void Exchange::expire() {
  over_ = true;
  if (lease.connection() != nullptr) lease.connection()->abort();
  wake();
}

bool Exchange::over_by(Mono now) {
  if (!over_ && now >= deadline()) {
    disarm();
    expire();
  }
  return over_;
}

void Exchange::wake() {
  awake_ = true;
  if (parked_) parked_->cancel();
}

Task<void> Exchange::park() {
  const auto executor = co_await asio::this_coro::executor;
  if (awake_) co_return;
  parked_.emplace(executor, Mono::max());
  co_await parked_->async_wait(asio::as_tuple(asio::use_awaitable));
  parked_.reset();
}

void Exchange::write_beside(const Executor& executor, std::string_view body, std::size_t written) {
  writing_ = true;
  const auto failed = [this](std::exception_ptr) { stop_writing(); };
  spawn(executor, "webhook body", write_rest(body, written), failed);
}

// What goes wrong here the reader sees as well.
Task<void> Exchange::write_rest(std::string_view body, std::size_t written) {
  Connection& connection = *lease.connection();
  const error_code error = co_await connection.write_rest(connection.head, body, written);
  if (!error) stage = Stage::answer;
  stop_writing();
}

void Exchange::stop_writing() {
  writing_ = false;
  wake();
}

Task<void> Exchange::writing_ended() {
  while (writing_) {
    awake_ = false;
    co_await park();
  }
}

Task<void> Exchange::wait_for_lease() {
  awake_ = over_;
  queue_ = Queue::pool;
  pool_.wait(url_, *this);
  co_await park();
  if (queue_ == Queue::pool) pool_.give_up(url_, *this);
  queue_ = Queue::none;
}

void Exchange::granted(Lease granted) {
  queue_ = Queue::none;
  if (over_) {
    granted.keep();  // unused: to the next in the queue
  } else {
    lease = std::move(granted);
  }
  wake();
}

Task<AddressesPtr> Exchange::resolve() {
  AddressesPtr known = resolver_.cached(url_.host);
  if (known) co_return known;
  awake_ = over_;
  queue_ = Queue::resolver;
  resolver_.join(url_.host, *this);
  co_await park();
  if (queue_ == Queue::resolver) resolver_.leave(url_.host, *this);
  queue_ = Queue::none;
  co_return std::move(addresses_);
}

void Exchange::resolved(AddressesPtr addresses) {
  queue_ = Queue::none;
  addresses_ = std::move(addresses);
  wake();
}

void Exchange::fail(std::string error) {
  result.kind = AttemptResult::Kind::network_error;
  if (over_ && closed_) {
    result.error = fmt::format("given up at shutdown, {}", words(stage));
  } else if (over_) {
    const bool queued = stage == Stage::waiting;
    result.kind = queued ? AttemptResult::Kind::not_started : AttemptResult::Kind::timeout;
    result.error = fmt::format("timed out after {} ms, {}", timeout_.count(), words(stage));
  } else {
    result.error = std::move(error);
  }
}

// From here on the result is fixed, whatever happens to the body.
void Exchange::answered(int status, Mono now) {
  result.kind = AttemptResult::Kind::answered;
  result.status = status;
  result.duration = std::chrono::ceil<Millis>(now - start_);
  if (status / 100 != 2) result.error = fmt::format("HTTP {}", status);
}

void Exchange::refuse(std::string reason) {
  result.kind = AttemptResult::Kind::refused;
  result.error = std::move(reason);
}

AttemptResult Exchange::finish(Mono now) {
  if (result.duration == Millis{0}) result.duration = std::chrono::ceil<Millis>(now - start_);
  return std::move(result);
}

}  // namespace eventhub::http
