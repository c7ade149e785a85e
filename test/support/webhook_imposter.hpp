#pragma once
// A real HTTP server on 127.0.0.1 that misbehaves on demand and remembers what it was sent.
//   WebhookImposter sink;                        // answers 200
//   sink.then(Reply::with(503));                 // the next request only
//   sink.always(Reply::silence());               // all others
//   sink.decide([](const Received& r) { … });    // by request
#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/webhook_imposter_wire.hpp"

namespace eventhub::test {

using namespace std::chrono_literals;

struct Received {
  std::string target;
  std::string head;  // request line and headers
  std::string body;
  int connection = 0;  // from 1, in the order of accept()
  std::chrono::steady_clock::time_point at;

  std::string header(std::string_view name) const {
    std::string_view rest = head;
    while (!rest.empty()) {
      const auto line = rest.substr(0, rest.find("\r\n"));
      const auto colon = line.find(": ");
      if (colon == name.size() &&
          std::equal(name.begin(), name.end(), line.begin(),
                     [](char a, char b) { return (a | 0x20) == (b | 0x20); })) {
        return std::string(line.substr(colon + 2));
      }
      rest.remove_prefix(std::min(line.size() + 2, rest.size()));
    }
    return {};
  }
};

struct Reply {
  enum class Then { keep, close, reset, hang, half_close };
  std::string bytes;                   // exactly what is sent
  std::chrono::milliseconds delay{0};  // before the first byte
  std::chrono::milliseconds drip{0};   // between single bytes
  std::uint64_t flood = 0;             // so many 'x' after that
  Then then = Then::keep;

  static Reply with(int status, const std::string& body = "", const std::string& headers = "") {
    Reply reply;
    reply.bytes = "HTTP/1.1 " + std::to_string(status) +
                  " Status\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
                  "\r\n" + body;
    return reply;
  }
  static Reply raw(std::string bytes, Then then = Then::close) {
    Reply reply;
    reply.bytes = std::move(bytes);
    reply.then = then;
    return reply;
  }
  static Reply silence() { return raw("", Then::hang); }
  static Reply reset() { return raw("", Then::reset); }
  Reply after(std::chrono::milliseconds wait) const {
    Reply reply = *this;
    reply.delay = wait;
    return reply;
  }
};

class WebhookImposter {
 public:
  struct Options {
    std::chrono::milliseconds idle_close{0};  // closes kept connections like Node.js does; 0: never
    std::string certificate, key;             // PEM files: TLS
    int tls_max = 0;                          // e.g. TLS1_1_VERSION
    bool read_body = true;                    // false: answers as soon as the header is there
    std::uint16_t port = 0;
  };

  WebhookImposter() : WebhookImposter(Options{}) {}
  explicit WebhookImposter(Options options) : options_(std::move(options)) {
    std::signal(SIGPIPE, SIG_IGN);
    if (!options_.certificate.empty()) make_tls();
    listener_ = listen_on_loopback(1024, options_.port);
    if (listener_ < 0) throw std::runtime_error("the imposter cannot listen");
    port_ = port_of(listener_);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~WebhookImposter() { stop(); }
  WebhookImposter(const WebhookImposter&) = delete;
  WebhookImposter& operator=(const WebhookImposter&) = delete;

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      for (Session& session : sessions_) session.wire.shut_down();
    }
    changed_.notify_all();
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (Session& session : sessions_) session.thread.join();
    sessions_.clear();
    ::close(listener_);
    SSL_CTX_free(tls_);
  }

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& target = "/hook") const {
    return (tls_ == nullptr ? "http://127.0.0.1:" : "https://127.0.0.1:") + std::to_string(port_) +
           target;
  }

  void always(Reply reply) {
    decide([reply](const Received&) { return reply; });
  }
  void then(Reply reply) {
    const std::lock_guard lock(mutex_);
    next_.push_back(std::move(reply));
  }
  void decide(std::function<Reply(const Received&)> decision) {
    const std::lock_guard lock(mutex_);
    decision_ = std::move(decision);
  }

  std::vector<Received> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
  }
  int open_connections() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  // Waits until that many requests have been received in full.
  bool wait_for_requests(std::size_t count, std::chrono::milliseconds limit = 5s) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return requests_.size() >= count; });
  }
  bool wait_for_open_connections(int count, std::chrono::milliseconds limit = 5s) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return open_ == count; });
  }

 private:
  struct Session {
    Session(int fd, SSL_CTX* tls, int session_number) : wire(fd, tls), number(session_number) {}
    Wire wire;
    int number;
    std::thread thread;
  };

  void make_tls() {
    tls_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(tls_, 0);
    if (options_.tls_max != 0) SSL_CTX_set_max_proto_version(tls_, options_.tls_max);
    if (SSL_CTX_use_certificate_chain_file(tls_, options_.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_, options_.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("the imposter cannot read its certificate");
    }
  }

  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        ::close(fd);
        return;
      }
      ++open_;
      Session& session = sessions_.emplace_back(fd, tls_, ++accepted_);
      session.thread = std::thread([this, &session] { serve(session); });
    }
  }

  void serve(Session& session) {
    std::string buffer;
    bool going = session.wire.handshake();
    while (going) {
      Received request;
      going = receive(session, buffer, request) && answer(session, record(request));
    }
    const std::lock_guard lock(mutex_);
    session.wire.close();
    --open_;
    changed_.notify_all();
  }

  bool receive(Session& session, std::string& buffer, Received& request) {
    std::size_t head_end = 0;
    while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!session.wire.read(buffer, options_.idle_close)) return false;
    }
    request.connection = session.number;
    request.head = buffer.substr(0, head_end);
    request.target = request.head.substr(5, request.head.find(' ', 5) - 5);
    buffer.erase(0, head_end + 4);
    const std::string length = request.header("Content-Length");
    const std::size_t size = options_.read_body && !length.empty() ? std::stoul(length) : 0;
    while (buffer.size() < size) {
      if (!session.wire.read(buffer, 0ms)) return false;
    }
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    request.at = std::chrono::steady_clock::now();
    return true;
  }

  Reply record(const Received& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    changed_.notify_all();
    if (next_.empty()) return decision_(request);
    Reply reply = std::move(next_.front());
    next_.pop_front();
    return reply;
  }

  // Whether the connection goes on.
  bool answer(Session& session, const Reply& reply) {
    if (!pause(reply.delay)) return false;
    bool written = true;
    for (std::size_t i = 0; written && reply.drip > 0ms && i < reply.bytes.size(); ++i) {
      written = session.wire.write(std::string_view(reply.bytes).substr(i, 1)) && pause(reply.drip);
    }
    if (reply.drip == 0ms) written = session.wire.write(reply.bytes);
    const std::string block(65536, 'x');
    for (std::uint64_t sent = 0; written && sent < reply.flood; sent += block.size()) {
      written = session.wire.write(block);
    }
    if (!written) return false;
    if (reply.then == Reply::Then::hang) pause(3600s);
    if (reply.then == Reply::Then::half_close) {
      session.wire.half_close();
      pause(3600s);
    }
    const std::lock_guard lock(mutex_);
    if (reply.then == Reply::Then::reset && !stopping_) session.wire.reset();
    return reply.then == Reply::Then::keep;
  }

  // False when the imposter stops meanwhile.
  bool pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [this] { return stopping_; });
  }

  Options options_;
  SSL_CTX* tls_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool stopping_ = false;
  int accepted_ = 0;
  int open_ = 0;
  std::list<Session> sessions_;
  std::deque<Reply> next_;
  std::function<Reply(const Received&)> decision_ = [](const Received&) {
    return Reply::with(200);
  };
  std::vector<Received> requests_;
};

}  // namespace eventhub::test
