// Looks at the socket of an embedded PostgreSQL before embedded_server.cpp takes the server over.
#include "store/embedded_probe.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string_view>

namespace eventhub::store {
namespace {

constexpr int kAnswerMillis = 1'000;
constexpr int kPauseMillis = 100;

// StartupMessage of protocol 3.0 for the superuser's own database.
constexpr std::string_view kStartup{"\0\0\0\x29\0\3\0\0user\0postgres\0database\0postgres\0\0", 41};

}  // namespace

SocketProbe::SocketProbe(const std::string& socket_dir)
    : path_(fmt::format("{}/.s.PGSQL.{}", socket_dir, kEmbeddedPort)) {}

int SocketProbe::open_socket() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return -1;
  std::memcpy(address.sun_path, path_.c_str(), path_.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  ::close(fd);
  return -1;
}

pid_t SocketProbe::listener() const {
  const int fd = open_socket();
  if (fd < 0) return 0;
  ucred peer{};
  socklen_t size = sizeof(peer);
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  ::close(fd);
  return known ? peer.pid : 0;
}

// The first byte of the answer: R asks for (no) authentication, E is an error.
bool SocketProbe::accepts() const {
  const int fd = open_socket();
  if (fd < 0) return false;
  char answer = 0;
  pollfd waiting{fd, POLLIN, 0};
  const bool let_in = ::send(fd, kStartup.data(), kStartup.size(), MSG_NOSIGNAL) ==
                          static_cast<ssize_t>(kStartup.size()) &&
                      ::poll(&waiting, 1, kAnswerMillis) == 1 && ::read(fd, &answer, 1) == 1 &&
                      answer == 'R';
  ::close(fd);
  return let_in;
}

bool SocketProbe::wait_accepting(Millis limit) const {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!accepts()) {
    // Gone, or recovering for too long.
    if (listener() == 0 || std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, kPauseMillis);
  }
  return true;
}

}  // namespace eventhub::store
