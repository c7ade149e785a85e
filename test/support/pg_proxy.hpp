#pragma once
// A man in the middle between a client and the private PostgreSQL, who breaks the connection at the
// two moments that differ: the server never saw the call, or it committed and nobody heard of it.
//   PgProxy proxy;
//   config.database.host = proxy.dir();
//   proxy.eat_answer();   // or cut_request(): the next call over any of its connections
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/private_postgres.hpp"

namespace eventhub::test {

class PgProxy {
 public:
  PgProxy() {
    if (::mkdtemp(dir_.data()) == nullptr || ::pipe(stop_) != 0) throw std::runtime_error(dir_);
    listener_ = open_socket(dir_, &::bind);
    if (::listen(listener_, 16) != 0) throw std::runtime_error("listen");
    thread_ = std::thread([this] { serve(); });
  }
  ~PgProxy() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(listener_);
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  PgProxy(const PgProxy&) = delete;
  PgProxy& operator=(const PgProxy&) = delete;

  const std::string& dir() const { return dir_; }
  // The next call is committed, its answer lost together with the connection.
  void eat_answer() { mode_ = Mode::eat_answer; }
  // The connection is lost before the server sees the next call.
  void cut_request() { mode_ = Mode::cut_request; }

 private:
  enum class Mode { pass, eat_answer, cut_request };
  struct Pair {
    int client = -1, server = -1;
    std::string eaten;
    bool over = false;
  };

  template <class Act>
  static int open_socket(const std::string& dir, Act act) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir + "/.s.PGSQL.5432";
    std::memcpy(address.sun_path, path.data(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (act(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(path);
    }
    return fd;
  }

  void serve() {
    std::list<Pair> pairs;
    for (;;) {
      std::vector<pollfd> waits{{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const Pair& pair : pairs) {
        waits.push_back({pair.client, POLLIN, 0});
        waits.push_back({pair.server, POLLIN, 0});
      }
      if (::poll(waits.data(), waits.size(), -1) < 0) continue;
      std::size_t at = 2;
      for (Pair& pair : pairs) {
        if (waits[at++].revents != 0) from_client(pair);
        if (waits[at++].revents != 0 && !pair.over) from_server(pair);
      }
      pairs.remove_if([](const Pair& pair) { return pair.over; });
      if (waits[1].revents != 0) pairs.push_back(accept());
      if (waits[0].revents == 0) continue;
      for (Pair& pair : pairs) end(pair);
      return;
    }
  }

  Pair accept() {
    Pair pair;
    pair.client = ::accept(listener_, nullptr, nullptr);
    pair.server = open_socket(PrivatePostgres::server().socket_dir(), &::connect);
    return pair;
  }

  void from_client(Pair& pair) {
    const std::string bytes = read_some(pair.client);
    if (bytes.empty()) return end(pair);
    const bool terminate = bytes.front() == 'X';  // a connection given back just before is no call
    if (mode_ != Mode::cut_request || terminate) return write_all(pair.server, bytes);
    mode_ = Mode::pass;
    end(pair);
  }

  void from_server(Pair& pair) {
    const std::string bytes = read_some(pair.server);
    if (bytes.empty()) return end(pair);
    if (mode_ != Mode::eat_answer) return write_all(pair.client, bytes);
    pair.eaten += bytes;
    if (!pair.eaten.ends_with(std::string("Z\0\0\0\5I", 6))) return;  // not ready: not committed
    mode_ = Mode::pass;
    end(pair);
  }

  static void end(Pair& pair) {
    ::close(pair.client);
    ::close(pair.server);
    pair.over = true;
  }

  static std::string read_some(int fd) {
    std::string bytes(1 << 16, '\0');
    const ssize_t size = ::read(fd, bytes.data(), bytes.size());
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }
  static void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }

  std::string dir_ = "/tmp/eventhub-proxy-XXXXXX";
  int stop_[2]{-1, -1};
  int listener_ = -1;
  std::atomic<Mode> mode_{Mode::pass};
  std::thread thread_;
};

}  // namespace eventhub::test
