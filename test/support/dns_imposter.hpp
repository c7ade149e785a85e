#pragma once
// A name server on 127.0.0.1 (UDP, and TCP for answers marked as truncated) that answers as a test
// says.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace eventhub::test {

struct DnsReply {
  int rcode = 0;                  // 0 no error, 2 SERVFAIL, 3 NXDOMAIN
  std::vector<std::string> ipv4;  // A records; an AAAA question gets none
  std::uint32_t ttl = 60;
  bool only_over_tcp = false;  // UDP says "truncated"
};

class DnsImposter {
 public:
  // Nullopt: no answer at all.
  using Decision = std::function<std::optional<DnsReply>(const std::string& name)>;

  explicit DnsImposter(Decision decision) : decision_(std::move(decision)) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 8);
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsImposter() {
    stopping_ = true;
    thread_.join();
    ::close(fd_);
    ::close(listener_);
  }
  DnsImposter(const DnsImposter&) = delete;
  DnsImposter& operator=(const DnsImposter&) = delete;

  std::string servers() const { return "127.0.0.1:" + std::to_string(port_); }
  // Questions for A records of `name`, repetitions included.
  int questions(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    int count = 0;
    for (const std::string& asked : asked_) count += asked == name ? 1 : 0;
    return count;
  }

 private:
  static void append16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8U);
    out += static_cast<char>(value & 0xffU);
  }

  static std::string name_in(const std::string& query, std::size_t& at) {
    std::string name;
    while (at < query.size() && query[at] != 0) {
      const auto length = static_cast<unsigned char>(query[at]);
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, length);
      at += length + 1U;
    }
    at += 5;  // the root label, type and class
    return name;
  }

  std::optional<std::string> reply_to(const std::string& query, bool tcp) {
    std::size_t question_end = 12;
    if (query.size() < 17) return std::nullopt;
    const std::string name = name_in(query, question_end);
    if (question_end > query.size()) return std::nullopt;
    const bool wants_ipv4 = query[question_end - 3] == 1;
    if (wants_ipv4) {
      const std::lock_guard lock(mutex_);
      asked_.push_back(name);
    }
    const std::optional<DnsReply> reply = decision_(name);
    if (!reply) return std::nullopt;
    const bool truncated = reply->only_over_tcp && !tcp;
    const std::size_t answers = wants_ipv4 && !truncated ? reply->ipv4.size() : 0;
    std::string out = query.substr(0, 2);
    append16(out, 0x8180U | (truncated ? 0x0200U : 0U) | static_cast<unsigned>(reply->rcode));
    append16(out, 1);
    append16(out, static_cast<unsigned>(answers));
    append16(out, 0);
    append16(out, 0);
    out += query.substr(12, question_end - 12);
    for (std::size_t i = 0; i < answers; ++i) {
      append16(out, 0xc00c);
      append16(out, 1);
      append16(out, 1);
      append16(out, reply->ttl >> 16U);
      append16(out, reply->ttl & 0xffffU);
      append16(out, 4);
      in_addr address{};
      ::inet_pton(AF_INET, reply->ipv4[i].c_str(), &address);
      out.append(reinterpret_cast<const char*>(&address), 4);
    }
    return out;
  }

  void serve() {
    while (!stopping_) {
      pollfd wait[2] = {{fd_, POLLIN, 0}, {listener_, POLLIN, 0}};
      if (::poll(wait, 2, 20) <= 0) continue;
      if ((wait[0].revents & POLLIN) != 0) answer_packet();
      if ((wait[1].revents & POLLIN) != 0) answer_connection();
    }
  }

  void answer_packet() {
    char packet[1500];
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const auto got =
        ::recvfrom(fd_, packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&peer), &size);
    if (got <= 0) return;
    const auto reply = reply_to(std::string(packet, static_cast<std::size_t>(got)), false);
    if (reply) {
      ::sendto(fd_, reply->data(), reply->size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
    }
  }

  // Questions of one connection, each after two bytes of length, until it says nothing for 100 ms.
  void answer_connection() {
    const int fd = ::accept(listener_, nullptr, nullptr);
    std::string buffer;
    pollfd wait{fd, POLLIN, 0};
    while (::poll(&wait, 1, 100) > 0) {
      char chunk[1500];
      const auto got = ::recv(fd, chunk, sizeof chunk, 0);
      if (got <= 0) break;
      buffer.append(chunk, static_cast<std::size_t>(got));
      while (buffer.size() > 2) {
        const std::size_t length =
            static_cast<unsigned char>(buffer[0]) * 256U + static_cast<unsigned char>(buffer[1]);
        if (buffer.size() < length + 2) break;
        const auto reply = reply_to(buffer.substr(2, length), true);
        buffer.erase(0, length + 2);
        std::string out;
        append16(out, static_cast<unsigned>(reply ? reply->size() : 0));
        if (reply) ::send(fd, (out + *reply).data(), out.size() + reply->size(), MSG_NOSIGNAL);
      }
    }
    ::close(fd);
  }

  Decision decision_;
  int fd_ = -1;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;
  std::thread thread_;
};

}  // namespace eventhub::test
