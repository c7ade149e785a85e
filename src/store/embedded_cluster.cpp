// Makes the embedded PostgreSQL's data directory: initdb, settings, role and database;
// embedded_server.cpp starts it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "store/embedded_server.hpp"

namespace eventhub::store {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kNew = "postgresql.new-";

// Appended to postgresql.conf once, before shared_buffers; afterwards the file belongs to the
// operator. Pages are not compressed on their way to the WAL: pglz takes ten times the CPU that
// writing them does, and what is written to most is appended to, not changed.
constexpr std::string_view kSettings = R"(
# Set by eventhubd when this directory was made. Yours to change; eventhubd does not write it again.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100
max_wal_size = 2GB
fsync = on
synchronous_commit = on
autovacuum_naptime = 15s
# One file per day of the week. No row values: they would be other people's data.
logging_collector = on
log_directory = '../log'
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_checkpoints = off
log_min_error_statement = panic
log_error_verbosity = terse
)";

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kBuffersMinMiB = 128, kBuffersMaxMiB = 8'192;

// An eighth of the memory that there is for us: half of what PostgreSQL recommends to a server that
// has its machine for itself.
std::int64_t shared_buffers_mib() {
  std::int64_t bytes = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  std::int64_t limit = 0;  // a container's; "max" is none
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit) bytes = std::min(bytes, limit);
  return std::clamp(bytes / 8 / kMiB, kBuffersMinMiB, kBuffersMaxMiB);
}

void remove_leftovers(const std::string& data_dir) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(data_dir, ignored)) {
    if (entry.path().filename().string().starts_with(kNew)) fs::remove_all(entry.path(), ignored);
  }
}

void run(const Command& command, const User& user) {
  const Finished finished = run_program(command, user);
  if (finished.exit_code == 0) return;
  const std::string program = fs::path(command.arguments.front()).filename();
  throw std::runtime_error(fmt::format(
      "cannot make a PostgreSQL data directory in {} as user {}: {} {}:\n{}", command.directory,
      user.name, program,
      finished.timed_out ? "took too long" : fmt::format("failed ({})", finished.exit_code),
      finished.output));
}

void append(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  const bool written = fd >= 0 &&
                       ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int reason = errno;
  if (fd >= 0) ::close(fd);
  if (!written)
    throw std::runtime_error(fmt::format("cannot write {}: {}", path, std::strerror(reason)));
}

void move_into_place(const std::string& made, const EmbeddedFiles& files) {
  if (::rename(made.c_str(), files.cluster().c_str()) != 0) {
    throw std::runtime_error(fmt::format("cannot rename {} to {}: {}; move what is there away",
                                         made, files.cluster(), std::strerror(errno)));
  }
  const int fd = ::open(files.data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

}  // namespace

void make_cluster(const EmbeddedFiles& files, const std::string& bin_dir) {
  own_directory(files.data_dir + "/log", files.user);
  remove_leftovers(files.data_dir);
  if (!read_tail(files.cluster() + "/PG_VERSION", 16).empty()) return;
  const std::string made = fmt::format("{}/{}{}", files.data_dir, kNew, ::getpid());
  Command initdb;
  initdb.arguments = {bin_dir + "/initdb", "-D", made,   "-U", "postgres", "-E", "UTF8",
                      "--locale=C",        "-A", "trust"};
  initdb.directory = files.data_dir;
  initdb.dies_with_us = true;
  initdb.timeout = Millis{300'000};
  try {
    run(initdb, files.user);
    append(made + "/postgresql.conf",
           fmt::format("{}shared_buffers = {}MB\n", kSettings, shared_buffers_mib()));
    Command single;
    single.arguments = {bin_dir + "/postgres",   "--single", "-c", "exit_on_error=on", "-c",
                        "logging_collector=off", "-D",       made, "postgres"};
    single.directory = files.data_dir;
    single.input = "CREATE ROLE eventhub LOGIN;\nCREATE DATABASE eventhub OWNER eventhub;\n";
    single.dies_with_us = true;
    single.timeout = Millis{300'000};
    run(single, files.user);
    move_into_place(made, files);
    remove_leftovers(files.data_dir);  // a killed initdb's last child may have written on
  } catch (const std::runtime_error&) {
    remove_leftovers(files.data_dir);
    throw;
  }
}

}  // namespace eventhub::store
