// The embedded PostgreSQL as one object: lock, directory (embedded_cluster.cpp), server
// (embedded_server.cpp) and a thread that starts a dead server again.
#include "eventhub/store/embedded.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "eventhub/core/log.hpp"
#include "store/embedded_server.hpp"

namespace eventhub::store {
namespace {

constexpr int kCheckMillis = 1'000;

struct Fd {
  explicit Fd(int number) : fd(number) {}
  Fd(Fd&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
};

// Starts the server again whenever it ends, until told to stop. PostgreSQL recovers by itself from
// the death of any process but its first.
class Watcher {
 public:
  explicit Watcher(EmbeddedServer& server)
      : server_(server), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { watch(); }) {}
  ~Watcher() {
    stopping_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_.fd, &one, sizeof(one));
    thread_.join();
  }

 private:
  void watch() {
    while (!stopping_) {
      const pid_t pid = server_.pid();
      if (pid == 0) {
        restart();
      } else {
        wait(pid);
      }
    }
  }
  // Until the process is gone; looks again every second, in case the kernel has no pidfd.
  void wait(pid_t pid) const {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd waiting[]{{stop_.fd, POLLIN, 0}, {process.fd, POLLIN, 0}};
    ::poll(waiting, process.fd < 0 ? 1 : 2, process.fd < 0 ? kCheckMillis : -1);
    ::waitpid(pid, nullptr, WNOHANG);
  }
  void restart() {
    log::error("the embedded PostgreSQL is gone; starting it again", {});
    try {
      server_.start();
      log::info("the embedded PostgreSQL runs again", {{"pid", server_.pid()}});
    } catch (const std::exception& error) {
      log::error("the embedded PostgreSQL does not start", {{"error", error.what()}});
      pollfd waiting{stop_.fd, POLLIN, 0};
      ::poll(&waiting, 1, kCheckMillis);
    }
  }
  EmbeddedServer& server_;
  Fd stop_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace

struct EmbeddedPostgres::Impl {
  Impl(int lock_fd, EmbeddedServer embedded) : lock(lock_fd), server(std::move(embedded)) {}
  Fd lock;  // closed last: nobody else may begin before the server is gone
  EmbeddedServer server;
  std::optional<Watcher> watcher;
};

EmbeddedPostgres::EmbeddedPostgres(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

std::unique_ptr<EmbeddedPostgres> EmbeddedPostgres::start(const EmbeddedConfig& config) {
  EmbeddedFiles files;
  files.user = embedded_user(config);
  files.data_dir = embedded_data_dir(config, files.user);
  Fd lock(lock_data_dir(files.data_dir));
  const std::string bin_dir = embedded_bin_dir(config, files.cluster());
  make_cluster(files, bin_dir);
  const std::string socket_dir = embedded_socket_dir(files);
  // A daemon's parent is the nearest reaper: us, so that a dead server does not stay in the process
  // table.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  EmbeddedServer server(files, bin_dir, socket_dir);
  server.start();
  auto impl = std::make_unique<Impl>(std::exchange(lock.fd, -1), std::move(server));
  impl->watcher.emplace(impl->server);
  return std::unique_ptr<EmbeddedPostgres>(new EmbeddedPostgres(std::move(impl)));
}

EmbeddedPostgres::~EmbeddedPostgres() {
  impl_->watcher.reset();
  try {
    impl_->server.stop();
  } catch (const std::exception& error) {
    log::error("cannot stop the embedded PostgreSQL", {{"error", error.what()}});
  }
  // Only a socket directory in /tmp is empty and ours to remove.
  if (impl_->server.socket_dir().starts_with("/tmp/eventhub-"))
    ::rmdir(impl_->server.socket_dir().c_str());
}

DatabaseConfig EmbeddedPostgres::connection(const DatabaseConfig& base) const {
  DatabaseConfig config = base;
  config.url.clear();
  config.host = impl_->server.socket_dir();
  config.port = 5432;
  config.name = "eventhub";
  config.user = "eventhub";
  config.password.clear();
  return config;
}

const std::string& EmbeddedPostgres::data_dir() const {
  return impl_->server.files().data_dir;
}
int EmbeddedPostgres::server_pid() const {
  return impl_->server.pid();
}

}  // namespace eventhub::store
