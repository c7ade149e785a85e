// Starts, takes over and stops the embedded PostgreSQL with pg_ctl; embedded.cpp owns the one
// object.
#include "store/embedded_server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "store/embedded_probe.hpp"

namespace eventhub::store {
namespace {

namespace fs = std::filesystem;
constexpr int kPort = kEmbeddedPort;
// Crash recovery after a kill may have 2 GB of WAL to replay.
constexpr int kStartSeconds = 300;
constexpr int kStopSeconds = 60;
constexpr int kAttempts = 20;

// postmaster.pid, which the server keeps from its start to its end.
struct PidFile {
  pid_t pid = 0;
  std::string socket_dir, status;
  int shared_memory = -1;
};

std::optional<PidFile> read_pid_file(const std::string& path) {
  std::istringstream text(read_tail(path, 4096));
  std::array<std::string, 8> lines;
  for (auto& line : lines) std::getline(text, line);
  PidFile file;
  file.pid = static_cast<pid_t>(std::atoi(lines[0].c_str()));
  if (file.pid <= 0) return std::nullopt;
  file.socket_dir = lines[4];
  std::istringstream key_and_id(lines[6]);
  long key = 0;
  if (!(key_and_id >> key >> file.shared_memory)) file.shared_memory = -1;
  file.status = lines[7].substr(0, lines[7].find(' '));
  return file;
}

std::string read_proc(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A postmaster's working directory is its data directory.
bool works_in(pid_t pid, const std::string& directory) {
  std::error_code unknown;
  return fs::read_symlink(fmt::format("/proc/{}/cwd", pid), unknown) == directory;
}

// Dead, but its parent has not asked: kill() still finds it.
bool is_zombie(pid_t pid) {
  const std::string status = read_proc(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = status.rfind(')');
  return name_end != std::string::npos && status.substr(name_end, 3) == ") Z";
}

bool is_alive(pid_t pid) {
  return (::kill(pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

// PostgreSQL refuses to start when the pid in an old pid file belongs to some process of the same
// user, as happens after a power failure. Remove the file when it is nobody's: the process is dead
// or another program, and no backend is left on the shared memory.
void remove_stale_pid_file(const EmbeddedFiles& files, const PidFile& file) {
  ::waitpid(file.pid, nullptr, WNOHANG);
  if (!is_zombie(file.pid)) {
    std::error_code unknown;
    const fs::path where = fs::read_symlink(fmt::format("/proc/{}/cwd", file.pid), unknown);
    if (unknown || where == files.cluster()) return;
  }
  shmid_ds memory{};
  const bool used = file.shared_memory >= 0 &&
                    ::shmctl(file.shared_memory, IPC_STAT, &memory) == 0 && memory.shm_nattch > 0;
  if (!used) ::unlink(files.pid_file().c_str());
}

}  // namespace

EmbeddedServer::EmbeddedServer(EmbeddedFiles files, std::string bin_dir, std::string socket_dir)
    : files_(std::move(files)), bin_dir_(std::move(bin_dir)), socket_dir_(std::move(socket_dir)) {}

Finished EmbeddedServer::pg_ctl(std::vector<std::string> arguments, Millis timeout) const {
  Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), {bin_dir_ + "/pg_ctl", "-s", "-w"});
  // By environment: pg_ctl hands -D to a shell.
  command.environment = {"PGDATA=" + files_.cluster()};
  command.directory = files_.data_dir;
  command.timeout = timeout;
  return run_program(command, files_.user);
}

// Relative to the cluster, so that no path needs quoting.
std::string EmbeddedServer::socket_option() const {
  return socket_dir_ == files_.data_dir + "/run" ? "../run" : socket_dir_;
}

pid_t EmbeddedServer::pid() const {
  const auto file = read_pid_file(files_.pid_file());
  return file && is_alive(file->pid) ? file->pid : 0;
}

// True when a server of ours runs; waits until it lets sessions in. Any other that lives is
// stopped.
bool EmbeddedServer::taken_over() const {
  const auto file = read_pid_file(files_.pid_file());
  if (!file) return false;
  const SocketProbe probe(socket_dir_);
  const bool listens = probe.listener() == file->pid;
  if (listens && file->status != "stopping" && file->socket_dir == socket_option() &&
      probe.wait_accepting(Seconds{kStartSeconds})) {
    return true;
  }
  if (listens || works_in(file->pid, files_.cluster())) {
    pg_ctl({"-m", "fast", "-t", std::to_string(kStopSeconds), "stop"}, Seconds{kStopSeconds + 5});
  } else {
    remove_stale_pid_file(files_, *file);
  }
  return false;
}

void EmbeddedServer::start() {
  Finished finished;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (taken_over()) return;
    finished = launch();
    if (finished.exit_code == 0) return;
    // What a killed server left needs a moment to notice its death; until then a new one refuses.
    const std::string reason = read_tail(files_.startup_log(), 4096);
    const bool passes = reason.find("shared memory block") != std::string::npos ||
                        reason.find("\"postmaster.pid\"") != std::string::npos;
    if (!passes) break;
    ::poll(nullptr, 0, 250);
  }
  throw std::runtime_error(fmt::format(
      "PostgreSQL did not start in {} as user {}: {}{}", files_.cluster(), files_.user.name,
      finished.timed_out ? "it took too long\n" : finished.output, last_words()));
}

Finished EmbeddedServer::launch() const {
  const std::string options =
      fmt::format("-c listen_addresses= -p {} -k {}", kPort, socket_option());
  ::unlink(files_.startup_log().c_str());
  // The socket's lock file has the same trouble with old pids; the directory is ours alone.
  if (SocketProbe(socket_dir_).listener() == 0) {
    ::unlink(fmt::format("{}/.s.PGSQL.{}.lock", socket_dir_, kPort).c_str());
  }
  return pg_ctl({"-t", std::to_string(kStartSeconds), "-l", "startup.log", "-o", options, "start"},
                Seconds{kStartSeconds + 10});
}

// What the server wrote last: before its log files were open, and after.
std::string EmbeddedServer::last_words() const {
  std::string words = read_tail(files_.startup_log(), 2048);
  fs::path newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(files_.data_dir + "/log", ignored)) {
    if (newest.empty() || entry.last_write_time(ignored) > fs::last_write_time(newest, ignored)) {
      newest = entry.path();
    }
  }
  if (!newest.empty()) words += newest.string() + ":\n" + read_tail(newest, 1024);
  return words;
}

void EmbeddedServer::stop() {
  if (pid() == 0) return;
  const Finished fast =
      pg_ctl({"-m", "fast", "-t", std::to_string(kStopSeconds), "stop"}, Seconds{kStopSeconds + 5});
  if (fast.exit_code == 0 || pid() == 0) return;
  pg_ctl({"-m", "immediate", "-t", "10", "stop"}, Seconds{15});
}

}  // namespace eventhub::store
