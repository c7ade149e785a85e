#pragma once
// The bytes of the webhook imposter: one accepted connection, plain or TLS, blocking.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace eventhub::test {

// A listening socket on 127.0.0.1 (any free port unless given). Counts nothing, accepts nothing.
inline int listen_on_loopback(int backlog, std::uint16_t port = 0) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, backlog) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

inline std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

class Wire {
 public:
  Wire(int fd, SSL_CTX* tls) : fd_(fd) {
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (tls != nullptr) ssl_.reset(SSL_new(tls));
    if (ssl_) SSL_set_fd(ssl_.get(), fd);
  }
  ~Wire() { close(); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  bool handshake() { return !ssl_ || SSL_accept(ssl_.get()) == 1; }

  // Appends what arrives; false at the end of the stream, on an error, or when `limit` (0: none)
  // passes.
  bool read(std::string& out, std::chrono::milliseconds limit) {
    pollfd wait{fd_, POLLIN, 0};
    const bool buffered = ssl_ && SSL_pending(ssl_.get()) > 0;
    if (!buffered && limit.count() > 0 && ::poll(&wait, 1, static_cast<int>(limit.count())) <= 0) {
      return false;
    }
    char chunk[16384];
    const auto size = ssl_ ? SSL_read(ssl_.get(), chunk, sizeof chunk)
                           : static_cast<int>(::recv(fd_, chunk, sizeof chunk, 0));
    if (size <= 0) return false;
    out.append(chunk, static_cast<std::size_t>(size));
    return true;
  }

  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto size =
          ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
               : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }

  void shut_down() {
    if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  int fd_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace eventhub::test
