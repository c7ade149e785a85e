// Directories, user and lock of the embedded PostgreSQL; embedded.cpp starts the server
// on them.
#include "store/embedded_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "eventhub/core/ids.hpp"

namespace eventhub::store {
namespace {

namespace fs = std::filesystem;
// sun_path holds 108 bytes; the socket's name takes 14 of them.
constexpr std::size_t kSocketDirMax = 86;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string name_of(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry == nullptr ? std::to_string(uid) : entry->pw_name;
}

User user_from(const passwd& entry) {
  User user;
  user.uid = entry.pw_uid;
  user.gid = entry.pw_gid;
  user.name = entry.pw_name;
  user.home = entry.pw_dir;
  return user;
}

std::string default_data_dir(const User& user) {
  if (user.switch_to) return "/var/lib/eventhub";
  if (const std::string xdg = variable("XDG_DATA_HOME"); xdg.starts_with('/')) {
    return xdg + "/eventhub";
  }
  std::string home = variable("HOME");
  if (home.empty()) home = user.home;
  if (home.empty()) fail("no home directory: set embedded.data_dir");
  return home + "/.local/share/eventhub";
}

}  // namespace

User embedded_user(const EmbeddedConfig& config) {
  if (::geteuid() != 0) {
    if (const passwd* entry = ::getpwuid(::geteuid())) return user_from(*entry);
    User user;  // a uid without a name, as containers have
    user.uid = ::geteuid();
    user.gid = ::getegid();
    user.name = "eventhub";
    user.home = "/";
    return user;
  }
  const passwd* entry = ::getpwnam(config.run_as.c_str());
  if (entry == nullptr) {
    fail(fmt::format(
        "PostgreSQL does not run as root, and there is no user '{}' to run it as: apt install "
        "postgresql-15, or set embedded.run_as",
        config.run_as));
  }
  User user = user_from(*entry);
  if (user.uid == 0) fail("PostgreSQL does not run as root: set embedded.run_as to another user");
  int count = 64;
  user.groups.resize(64);
  if (::getgrouplist(user.name.c_str(), user.gid, user.groups.data(), &count) < 0) count = 0;
  user.groups.resize(static_cast<std::size_t>(count));
  user.switch_to = true;
  return user;
}

void own_directory(const std::string& path, const User& user) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (user.switch_to && ::lchown(path.c_str(), user.uid, user.gid) != 0) {
      fail(fmt::format("cannot give {} to user {}: {}", path, user.name, std::strerror(errno)));
    }
    return;
  }
  if (errno != EEXIST) {
    fail(fmt::format("cannot make {}: {}; choose another embedded.data_dir", path,
                     std::strerror(errno)));
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    fail(fmt::format("{} is not a directory", path));
  }
  if (status.st_uid != user.uid) {
    fail(
        fmt::format("{} belongs to user {}, but PostgreSQL runs as {}: chown it, or choose another "
                    "embedded.data_dir",
                    path, name_of(status.st_uid), user.name));
  }
  if ((status.st_mode & 0022) != 0) {
    fail(fmt::format("{} is writable by others: chmod 700 it", path));
  }
}

std::string embedded_data_dir(const EmbeddedConfig& config, const User& user) {
  std::string path = config.data_dir.empty() ? default_data_dir(user) : config.data_dir;
  std::error_code error;
  path = fs::weakly_canonical(path, error).string();
  if (error) fail(fmt::format("{}: {}", path, error.message()));
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) {
    fail(fmt::format("cannot make {}: {}; choose another embedded.data_dir",
                     fs::path(path).parent_path().string(), error.message()));
  }
  own_directory(path, user);
  return path;
}

int lock_data_dir(const std::string& data_dir) {
  const std::string path = data_dir + "/eventhub.lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    fail(fmt::format("cannot open {}: {}; choose another embedded.data_dir", path,
                     std::strerror(errno)));
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(fd);
    if (reason != EWOULDBLOCK) fail(fmt::format("cannot lock {}: {}", path, std::strerror(reason)));
    fail(fmt::format(
        "{} is in use by another eventhubd, pid {}: stop it, or choose another embedded.data_dir",
        data_dir, number_in(read_tail(path, 16))));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  // Who owns the directory may start eventhubd without root next time.
  struct stat directory {};
  if (::geteuid() == 0 && ::stat(data_dir.c_str(), &directory) == 0 &&
      ::fchown(fd, directory.st_uid, directory.st_gid) != 0) {
    ::close(fd);
    fail(fmt::format("cannot give {} to its directory's owner: {}", path, std::strerror(errno)));
  }
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const std::string reason = std::strerror(errno);
    ::close(fd);
    fail(fmt::format("cannot write {}: {}", path, reason));
  }
  return fd;
}

std::string embedded_socket_dir(const EmbeddedFiles& files) {
  std::string path = files.data_dir + "/run";
  // libpq takes a comma for the next host.
  if (path.size() > kSocketDirMax || path.find(',') != std::string::npos) {
    path = fmt::format("/tmp/eventhub-{:016x}", stable_hash(files.data_dir));
  }
  own_directory(path, files.user);
  return path;
}

int number_in(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string read_tail(const std::string& path, std::size_t bytes_max) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return "";
  const off_t size = ::lseek(fd, 0, SEEK_END);
  const off_t wanted = std::min<off_t>(size < 0 ? 0 : size, static_cast<off_t>(bytes_max));
  std::string text(static_cast<std::size_t>(wanted), '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), size - wanted);
  ::close(fd);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

}  // namespace eventhub::store
