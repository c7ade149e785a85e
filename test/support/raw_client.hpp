#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace eventhub::test {

struct Answer {
  int status = 0;
  std::string head;  // status line and fields
  std::string body;

  // The value of a header as written by our server ("Name: value"), or empty.
  std::string header(std::string_view name) const {
    const std::string start = "\r\n" + std::string(name) + ": ";
    const auto at = head.find(start);
    if (at == std::string::npos) return {};
    const auto from = at + start.size();
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

// A client that sends exactly the bytes it is given and blocks; every wait has a limit.
class RawClient {
 public:
  using Limit = std::chrono::milliseconds;

  // Makes the socket; connect() is apart for tests that run out of descriptors in between.
  explicit RawClient(const char* from = nullptr, int receive_buffer = 0)
      : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (fd_ < 0) throw std::runtime_error("no socket");
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    if (from != nullptr) {
      sockaddr_in local = endpoint(from, 0);
      if (bind(fd_, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) {
        throw std::runtime_error("cannot bind");
      }
    }
  }
  explicit RawClient(std::uint16_t port, const char* from = nullptr) : RawClient(from) {
    connect(port);
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() { close(); }

  void connect(std::uint16_t port) {
    sockaddr_in peer = endpoint("127.0.0.1", port);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }

  // False when the peer is gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // Closes so that the peer sees a reset.
  void reset() {
    const linger hard{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }

  // Up to `count` answers; fewer when the peer closes or the limit passes. `head_only`: answers to
  // HEAD.
  std::vector<Answer> answers(std::size_t count, Limit limit = Limit(5'000),
                              bool head_only = false) {
    std::vector<Answer> all;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (all.size() < count) {
      Answer next;
      if (take(next, head_only)) {
        all.push_back(std::move(next));
      } else if (!receive(deadline)) {
        break;
      }
    }
    return all;
  }
  // One answer; status 0 when none came.
  Answer answer(Limit limit = Limit(5'000), bool head_only = false) {
    auto all = answers(1, limit, head_only);
    return all.empty() ? Answer{} : std::move(all.front());
  }
  Answer ask(std::string_view request, Limit limit = Limit(5'000)) {
    send(request);
    return answer(limit);
  }

  // Whether the peer closes (by FIN or reset) within the limit; what it still sends is kept.
  bool closed(Limit limit = Limit(5'000)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (receive(deadline)) continue;
    return closed_;
  }
  bool was_reset() const { return reset_; }
  const std::string& unread() const { return received_; }

 private:
  static sockaddr_in endpoint(const char* address, std::uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    inet_pton(AF_INET, address, &result.sin_addr);
    return result;
  }

  bool receive(std::chrono::steady_clock::time_point deadline) {
    const auto left =
        std::chrono::duration_cast<Limit>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wait{fd_, POLLIN, 0};
    if (closed_ || left <= 0 || poll(&wait, 1, static_cast<int>(left)) <= 0) return false;
    char bytes[16 << 10];
    const auto count = recv(fd_, bytes, sizeof bytes, 0);
    if (count > 0) {
      received_.append(bytes, static_cast<std::size_t>(count));
      return true;
    }
    closed_ = true;
    reset_ = count < 0;
    return false;
  }

  bool take(Answer& answer, bool head_only) {
    const auto end = received_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    answer.head = received_.substr(0, end + 2);
    std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
    const std::string length = answer.header("Content-Length");
    std::size_t body = 0;
    std::from_chars(length.data(), length.data() + length.size(), body);
    if (head_only) body = 0;
    if (received_.size() < end + 4 + body) return false;
    answer.body = received_.substr(end + 4, body);
    received_.erase(0, end + 4 + body);
    return true;
  }

  int fd_;
  std::string received_;
  bool closed_ = false;
  bool reset_ = false;
};

}  // namespace eventhub::test
