#pragma once
#include <array>
#include <boost/asio/buffer.hpp>
#include <list>
#include <span>

#include "http/server_core.hpp"
#include "http/server_input.hpp"
#include "http/server_parser.hpp"
#include "http/server_response.hpp"

namespace boost::asio::ssl {
template <class NextLayer>
class stream;
}

namespace eventhub::http {

using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

// One connection: everything of it that does not wait. The waiting is in server_session.cpp.
struct ServerConnection {
  ServerConnection(std::shared_ptr<ServerCore> core, tcp::socket peer_socket,
                   boost::asio::ip::address address_owner, std::string_view why_turned_away);
  ~ServerConnection();
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;

  // Deadlines: one at a time, enforced by the server's scan, which cancels what the connection
  // waits for.
  void set_deadline(Millis limit);
  void no_deadline() {
    deadline_ = rate_from_ = Mono::max();
    expired_ = false;
  }
  bool late() const { return expired_; }
  void expire_if_late(Mono now);
  void stop_if_idle();

  // Before the first request, with TLS: nothing of a request is here while hands are shaken.
  void begin_handshake();
  // Reading, step by step. Each returns `more` for "read into that space and call received()".
  // False when there is nothing to wait for: the server stops, and nothing of a request is here.
  bool begin_request();
  // From here until the body is complete it must come at server.body_rate_min.
  void await_body();
  Step parse_header();
  // Whether the handler wants the request, by its header: done or refused.
  Step admit();
  Step begin_body();
  Step continue_body();
  Step next_space(std::span<char>& space);
  Step received(boost::system::error_code error, std::size_t bytes);
  bool wants_continue() const;
  std::span<char> header_space() { return input_.space(); }
  // For bytes nobody will look at.
  std::span<char> discard_space() { return input_.space(); }
  void end_request();

  // Writing: the head, then what of the body is not copied behind it, in one call if the socket
  // takes it.
  void prepare(const Response& response);
  void prepare_continue();
  bool write_now();
  bool written(boost::system::error_code error, std::size_t bytes);
  std::array<boost::asio::const_buffer, 2> unwritten() const;

  Step refuse(int status, std::string_view detail);
  // The answer after a Step::refused.
  Response refusal();

  std::shared_ptr<ServerCore> server;
  tcp::socket socket;
  std::unique_ptr<TlsStream> tls;          // nullptr: plain HTTP
  const boost::asio::ip::address address;  // who it counts for
  const std::string_view turned_away;      // why, or empty
  std::list<ServerConnection*>::iterator self;
  ServerCore::Share* share = nullptr;  // nullptr when turned away: no request is read

  Request request;
  Refused refused;
  bool close_after = false;  // the answer being written is the last
  bool write_failed = false;

 private:
  enum class BodyMode { none, in_place, apart, chunked };
  Step header_complete();
  Step continue_chunked();
  bool charge(std::uint64_t bytes);
  void release();
  bool body_outstanding() const;
  bool too_slow(Mono now) const;
  void cancel();

  Input input_;
  RequestParser parser_;
  const Limits limits_;
  Mono deadline_ = Mono::max();
  Mono rate_from_ = Mono::max();  // of a body being awaited: what counts for its rate
  std::uint64_t came_ = 0;        // bytes of it since await_body()
  bool expired_ = false;
  bool idle_ = false;  // nothing of a request is here
  bool first_request_ = true;
  bool blank_line_skipped_ = false;
  BodyMode body_mode_ = BodyMode::none;
  std::size_t header_bytes_ = 0;
  std::size_t length_ = 0;      // Content-Length
  std::size_t body_bytes_ = 0;  // of `body_` that are received
  std::uint64_t charged_ = 0;
  std::optional<Response> not_admitted_;
  std::string body_;
  std::string peer_;
  std::string out_;
  std::string_view out_body_;
  std::size_t out_sent_ = 0;
};

}  // namespace eventhub::http
