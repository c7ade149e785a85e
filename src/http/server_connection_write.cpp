// The writing half of a connection without its waiting: how the answer looks and how much of it is
// out. Driven by server_session.cpp; calls append_head() of server_response.cpp.
#include <algorithm>
#include <boost/asio/error.hpp>

#include "http/server_connection.hpp"

namespace eventhub::http {
namespace {

constexpr std::size_t kOnePiece = 16 << 10;  // bodies up to this are copied behind their head

}  // namespace

void ServerConnection::prepare(const Response& response) {
  close_after = response.close || server->stopping() || refused || !parser_.keep_alive();
  const Framing framing{close_after, parser_.is_head(), parser_.version() < 11};
  out_.clear();
  out_body_ = {};
  out_sent_ = 0;
  if (!append_head(out_, response, server->date(), framing)) return;
  if (response.body.size() <= kOnePiece) {
    out_ += response.body;
  } else {
    out_body_ = response.body;
  }
}

void ServerConnection::prepare_continue() {
  out_ = "HTTP/1.1 100 Continue\r\n\r\n";
  out_body_ = {};
  out_sent_ = 0;
}

std::array<boost::asio::const_buffer, 2> ServerConnection::unwritten() const {
  const std::size_t head = std::min(out_sent_, out_.size());
  const std::size_t body = out_sent_ - head;
  return {boost::asio::const_buffer(out_.data() + head, out_.size() - head),
          boost::asio::const_buffer(out_body_.data() + body, out_body_.size() - body)};
}

// Nearly every answer fits into the socket's buffer: one system call, no waiting. TLS cannot stop
// half-way and go on later, so it waits.
bool ServerConnection::write_now() {
  if (tls != nullptr) return false;
  boost::system::error_code error;
  const std::size_t bytes = socket.write_some(unwritten(), error);
  if (error == boost::asio::error::would_block) return false;
  return written(error, bytes);
}

// True when there is no more to write, or no sense in it.
bool ServerConnection::written(boost::system::error_code error, std::size_t bytes) {
  out_sent_ += bytes;
  write_failed = static_cast<bool>(error) || expired_;
  return write_failed || out_sent_ == out_.size() + out_body_.size();
}

}  // namespace eventhub::http
