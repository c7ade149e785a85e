#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/async.hpp"
#include "http/tls.hpp"

namespace eventhub::http {

using boost::system::error_code;

// One TCP (and TLS) connection to a receiver with its buffers. Nothing here knows deadlines:
// close() from a timer ends whatever is being waited for.
class Connection {
 public:
  explicit Connection(const Executor& executor) : socket_(executor) {}

  Task<error_code> connect(boost::asio::ip::tcp::endpoint endpoint);
  // Empty, or what went wrong in words.
  Task<std::string> handshake(Tls& tls, std::string host);
  void close();
  // Closes it, and nothing more of the request leaves: what the kernel has not got rid of is
  // dropped and the peer sees a reset. After close() the kernel goes on trying for minutes, so that
  // a request could arrive long after its time-out, beside the next one.
  void abort();
  // How long the kernel tries to get rid of bytes; the same for those of a process that died.
  void give_up_after(Millis timeout);
  bool is_open() const { return socket_.is_open(); }

  // Sends head_and_body in one system call if the kernel takes it. Returns the bytes that left.
  std::size_t write_now(std::string_view head, std::string_view body, error_code& error);
  // Whether so many bytes may have to wait for the peer to read.
  bool may_stall(std::size_t bytes) const { return !tls_ || bytes > kTlsAtOnce; }
  Task<error_code> write_rest(std::string_view head, std::string_view body, std::size_t done);
  // Appends what arrives to unread(). End of stream is asio::error::eof.
  Task<error_code> read();

  std::string_view unread() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes) { begin_ += bytes; }
  // Whether the buffer has room for more unread bytes.
  bool full() const { return end_ - begin_ >= kBufferMax; }

  // Whether the peer has closed a kept connection, or said something nobody asked for.
  bool stale();

  std::string head;      // of the request; kept for its capacity
  std::size_t uses = 0;  // requests it has carried
  Mono opened_at{};
  Mono idle_since{};

 private:
  static constexpr std::size_t kBufferMin = 2 << 10;
  static constexpr std::size_t kBufferMax = 16 << 10;
  static constexpr std::size_t kTlsAtOnce = 16 << 10;  // a record, which the kernel buffers
  void make_room();

  boost::asio::ip::tcp::socket socket_;
  Millis give_up_after_{0};
  std::unique_ptr<TlsStream> tls_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace eventhub::http
