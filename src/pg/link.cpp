// The socket under a connection: waiting with one deadline, flushing, breaking and ending it.
// pipeline.cpp, simple.cpp and connect.cpp wait here.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "eventhub/core/log.hpp"
#include "pg/error_of.hpp"
#include "pg/impl.hpp"

namespace eventhub::pg {

namespace asio = boost::asio;

Connection::Impl::Impl(const Executor& executor, ConnectOptions wanted, Metrics* counted)
    : socket(executor), timer(executor), options(std::move(wanted)), metrics(counted) {}

Connection::Impl::Busy::Busy(Impl& impl, Millis limit) : impl_(impl) {
  if (impl_.busy) throw std::logic_error("two calls at once on one database connection");
  impl_.busy = true;
  impl_.arm(limit);
}

Connection::Impl::Busy::~Busy() {
  impl_.busy = false;
  impl_.disarm();
}

void Connection::Impl::arm(Millis after) {
  expired = false;
  limit = after;
  const unsigned number = ++deadline;
  timer.expires_after(after);
  timer.async_wait([weak = weak_from_this(), number](const boost::system::error_code& error) {
    if (error) return;
    const std::shared_ptr<Impl> self = weak.lock();
    if (!self || self->deadline != number) return;
    self->expired = true;
    self->stop_waiting();
  });
}

void Connection::Impl::disarm() {
  ++deadline;
  timer.cancel();
}

void Connection::Impl::stop_waiting() {
  boost::system::error_code ignored;
  if (socket.is_open()) socket.cancel(ignored);
}

Task<bool> Connection::Impl::wait(Wait what) {
  if (expired || closed || broken) co_return false;
  const auto [error] = co_await socket.async_wait(what, asio::as_tuple(asio::use_awaitable));
  co_return !error && !broken;
}

Task<void> Connection::Impl::answer(bool in_doubt) {
  while (PQisBusy(conn) != 0) {
    const bool ready = co_await wait(Wait::wait_read);
    if (!ready) lose(in_doubt);
    consume();
    if (broken && PQisBusy(conn) != 0) lose(in_doubt);
  }
}

Task<void> Connection::Impl::flush() {
  read_while_flushing(++flushing);
  for (int left = 1; left > 0;) {
    const bool ready = co_await wait(Wait::wait_write);
    if (!ready) break;  // the reader of the answer finds out why
    left = PQflush(conn);
    note_broken();
  }
  ++flushing;
  stop_waiting();
}

void Connection::Impl::read_while_flushing(unsigned number) {
  socket.async_wait(Wait::wait_read,
                    [weak = weak_from_this(), number](const boost::system::error_code& error) {
                      const std::shared_ptr<Impl> self = error ? nullptr : weak.lock();
                      if (!self || self->flushing != number || self->broken) return;
                      self->consume();
                      if (!self->broken) self->read_while_flushing(number);
                    });
}

void Connection::Impl::consume() {
  if (PQconsumeInput(conn) == 0) broken = true;
  note_broken();
}

// libpq closes the socket itself when the link breaks; asio must let go of it before the number is
// reused.
void Connection::Impl::note_broken() {
  if (PQstatus(conn) == CONNECTION_BAD) broken = true;
  if (broken && socket.is_open()) socket.release();
}

// The server says farewell before it closes the socket; both mean that nothing more will be
// answered.
void Connection::Impl::probe() {
  if (conn == nullptr || broken) return;
  consume();
  PQisBusy(conn);  // parses
  if (!farewell.empty()) broken = true;
  note_broken();
}

void Connection::Impl::require_usable() {
  if (conn == nullptr) throw Error("the database connection is closed", "", true, false);
  probe();
  if (broken || closed) lose(false);
}

void Connection::Impl::finish() {
  if (socket.is_open()) socket.release();
  if (conn != nullptr) PQfinish(conn);
  conn = nullptr;
  options.lease.reset();
}

void Connection::Impl::lose(bool in_doubt) {
  if (conn != nullptr) PQisBusy(conn);  // parses a farewell that has arrived
  std::string why = "cancelled";
  if (closed) {
    why = "closed by this process";
  } else if (!farewell.empty()) {
    why = farewell;
  } else if (broken && conn != nullptr) {
    why = one_line(PQerrorMessage(conn));
  } else if (expired) {
    why = "no answer within " + std::to_string(limit.count()) + " ms";
  }
  finish();
  Error error("database connection lost: " + why, farewell_state, true, in_doubt);
  error.server_message = farewell;
  throw error;
}

void Connection::Impl::on_notice(void* context, const PGresult* notice) {
  const auto* said = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  const std::string text = said != nullptr ? said : one_line(PQresultErrorMessage(notice));
  log::debug("database notice", {{"text", text}});
  const auto* state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  const std::string code = state != nullptr ? state : "";
  // A crash of another session ends this one after a mere warning (57P02).
  if (!ends_session(notice) && !code.starts_with("57P0")) return;
  auto& self = *static_cast<Impl*>(context);
  self.farewell = text;
  self.farewell_state = code;
}

}  // namespace eventhub::pg
