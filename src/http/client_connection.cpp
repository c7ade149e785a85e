// Bytes to and from one receiver over TCP or TLS; client.cpp says which.
#include "http/client_connection.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <tuple>

#include "http/as_tuple.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Buffers = std::array<asio::const_buffer, 2>;

Buffers gather(std::string_view head, std::string_view body, std::size_t done) {
  const std::size_t from_head = std::min(done, head.size());
  head.remove_prefix(from_head);
  body.remove_prefix(done - from_head);
  return {asio::buffer(head.data(), head.size()), asio::buffer(body.data(), body.size())};
}

}  // namespace

Task<error_code> Connection::connect(tcp::endpoint endpoint) {
  error_code error;
  socket_.close(error);
  socket_.open(endpoint.protocol(), error);
  if (error) co_return error;
  give_up_after_ = Millis{0};
  std::tie(error) = co_await socket_.async_connect(endpoint, as_tuple);
  if (error) co_return error;
  socket_.set_option(tcp::no_delay(true), error);
  if (!error) socket_.non_blocking(true, error);
  co_return error;
}

Task<std::string> Connection::handshake(Tls& tls, std::string host) {
  tls_ = tls.make(socket_, host);
  const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::client, as_tuple);
  co_return error ? describe_handshake(*tls_, error) : std::string{};
}

void Connection::close() {
  error_code ignored;
  socket_.close(ignored);
}

void Connection::abort() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

void Connection::give_up_after(Millis timeout) {
  if (timeout == give_up_after_) return;
  const auto limit = static_cast<unsigned>(timeout.count());
  if (::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit) ==
      0)
    give_up_after_ = timeout;
}

std::size_t Connection::write_now(std::string_view message_head, std::string_view body,
                                  error_code& error) {
  error = {};
  if (tls_) return 0;
  const std::size_t sent = socket_.write_some(gather(message_head, body, 0), error);
  if (error == asio::error::would_block || error == asio::error::try_again) error = {};
  return sent;
}

Task<error_code> Connection::write_rest(std::string_view message_head, std::string_view body,
                                        std::size_t done) {
  const Buffers rest = gather(message_head, body, done);
  error_code error;
  std::size_t sent = 0;
  if (tls_) {
    std::tie(error, sent) = co_await asio::async_write(*tls_, rest, as_tuple);
  } else {
    std::tie(error, sent) = co_await asio::async_write(socket_, rest, as_tuple);
  }
  co_return error;
}

void Connection::make_room() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.empty()) buffer_.resize(kBufferMin);
  if (end_ < buffer_.size()) return;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  } else {
    buffer_.resize(std::min(buffer_.size() * 2, kBufferMax));
  }
}

Task<error_code> Connection::read() {
  make_room();
  const auto room = asio::buffer(buffer_.data() + end_, buffer_.size() - end_);
  error_code error;
  std::size_t size = 0;
  if (tls_) {
    std::tie(error, size) = co_await tls_->async_read_some(room, as_tuple);
    if (error == asio::ssl::error::stream_truncated) error = asio::error::eof;
  } else {
    std::tie(error, size) = co_await socket_.async_read_some(room, as_tuple);
  }
  end_ += size;
  co_return error;
}

bool Connection::stale() {
  char byte = 0;
  const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace eventhub::http
