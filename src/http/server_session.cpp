// The coroutine of one connection: read a request, have it handled, write the answer, again. All
// that waits is here; what happens between two waits is in server_connection.cpp. Calls the handler
// of the Server.
#include "http/server_session.hpp"

#include <boost/asio/ssl/stream.hpp>

#include "eventhub/core/log.hpp"
#include "http/as_tuple.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;
constexpr Millis kLinger{1'000};
constexpr std::size_t kLingerBytes = 2 << 20;  // who sends a whole body reads its refusal, too

using Transferred = void(boost::system::error_code, std::size_t);

// Through TLS where the connection has it; the socket itself otherwise, as if there were no TLS.
auto read_some(ServerConnection& c, std::span<char> space) {
  const auto start = [&c](auto handler, asio::mutable_buffer buffer) {
    if (c.tls) {
      c.tls->async_read_some(buffer, std::move(handler));
    } else {
      c.socket.async_read_some(buffer, std::move(handler));
    }
  };
  return asio::async_initiate<decltype(as_tuple), Transferred>(
      start, as_tuple, asio::buffer(space.data(), space.size()));
}

auto write_some(ServerConnection& c) {
  const auto start = [&c](auto handler, const auto& buffers) {
    if (c.tls) {
      c.tls->async_write_some(buffers, std::move(handler));
    } else {
      c.socket.async_write_some(buffers, std::move(handler));
    }
  };
  return asio::async_initiate<decltype(as_tuple), Transferred>(start, as_tuple, c.unwritten());
}

Task<void> write_rest(ServerConnection& c) {
  c.set_deadline(c.server->config().body_timeout);
  for (bool written = false; !written;) {
    const auto [error, bytes] = co_await write_some(c);
    written = c.written(error, bytes);
  }
}

Task<Step> read_header(ServerConnection& c) {
  if (!c.begin_request()) co_return Step::gone;
  Step step = c.parse_header();
  while (step == Step::more) {
    const std::span<char> space = c.header_space();
    const auto [error, bytes] = co_await read_some(c, space);
    step = c.received(error, bytes);
    if (step == Step::more) step = c.parse_header();
  }
  co_return step;
}

Task<Step> read_body(ServerConnection& c) {
  if (c.wants_continue()) {
    c.prepare_continue();
    const bool written = c.write_now();
    if (!written) co_await write_rest(c);
    if (c.write_failed) co_return Step::gone;
  }
  c.await_body();
  Step step = Step::more;
  while (step == Step::more) {
    std::span<char> space;
    step = c.next_space(space);
    if (step != Step::more) break;
    const auto [error, bytes] = co_await read_some(c, space);
    step = c.received(error, bytes);
    if (step == Step::more) step = c.continue_body();
  }
  co_return step;
}

// What the handler does wrong is our fault, not the client's, and not the process's end.
Task<Response> handle(ServerConnection& c) {
  std::string failure;
  try {
    Task<Response> task = c.server->handle(c.request);
    Response response = co_await std::move(task);
    co_return response;
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "unknown";
  }
  c.server->handler_failed(failure);
  c.refuse(500, "an internal error");
  co_return c.server->refuse(c.refused);
}

// Closing with unread bytes would reset the connection and could destroy the answer on its way.
Task<void> linger(ServerConnection& c) {
  boost::system::error_code error;
  c.set_deadline(kLinger);
  if (c.tls) co_await c.tls->async_shutdown(as_tuple);  // that this was the end, and no cut
  c.socket.shutdown(tcp::socket::shutdown_send, error);
  std::size_t discarded = 0;
  while (!error && discarded < kLingerBytes && !c.late()) {
    const std::span<char> space = c.discard_space();
    const auto [failed, bytes] =
        co_await c.socket.async_read_some(asio::buffer(space.data(), space.size()), as_tuple);
    error = failed;
    discarded += bytes;
  }
}

// Writes the answer and says whether the connection goes on.
Task<bool> answer(ServerConnection& c, const Response& response) {
  c.prepare(response);
  const bool written = c.write_now();
  if (!written) co_await write_rest(c);
  if (c.close_after && !c.write_failed) co_await linger(c);
  co_return !c.close_after && !c.write_failed;
}

// Who speaks plain HTTP here, or TLS 1.1, is not answered: he would not understand it.
Task<bool> shake_hands(ServerConnection& c) {
  c.begin_handshake();
  if (c.server->stopping()) co_return false;
  const auto [error] = co_await c.tls->async_handshake(asio::ssl::stream_base::server, as_tuple);
  if (error) {
    log::debug("TLS handshake failed",
               {{"peer", c.address.to_string()}, {"error", error.message()}});
  }
  co_return !error;
}

Task<bool> one_request(ServerConnection& c) {
  Step step = co_await read_header(c);
  if (step == Step::done) step = c.admit();
  if (step == Step::done) step = c.begin_body();
  if (step == Step::more) step = co_await read_body(c);
  if (step == Step::gone) co_return false;
  c.no_deadline();
  Response response;
  if (step == Step::refused) {
    response = c.refusal();
  } else {
    response = co_await handle(c);
  }
  const bool open = co_await answer(c, response);
  c.end_request();
  co_return open;
}

}  // namespace

Task<void> serve(std::shared_ptr<ServerConnection> connection) {
  ServerConnection& c = *connection;
  if (c.tls) {
    const bool agreed = co_await shake_hands(c);
    if (!agreed) co_return;
  }
  bool open = c.turned_away.empty();
  if (!open) {
    c.refuse(503, c.turned_away);
    const Response response = c.server->refuse(c.refused);
    co_await answer(c, response);
  }
  while (open) open = co_await one_request(c);
}

}  // namespace eventhub::http
