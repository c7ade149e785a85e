#pragma once
// Processes of a test: programs, and work of the test itself in a process of its own. A forked copy
// of a program that has threads may do next to nothing: what another thread locked at that moment
// (a queue, the allocator) stays locked. So the test program is run anew, for one hidden test case:
//
//   TEST_CASE("child: adds", "[.]") {
//     test::in_child([] { return 1 + std::stoi(test::parameter("CHILD_N")); });
//   }
//   TEST_CASE("…") {
//     test::ChildCase child("child: adds", {"CHILD_N=3"});
//     CHECK(child.wait() == 4);
//   }
//
// Every wait has a limit, after which the child is killed and the test fails.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace eventhub::test {

using ChildLimit = std::chrono::milliseconds;
inline constexpr ChildLimit kChildMax{60'000};

[[noreturn]] inline void stood_still(const std::string& name, pid_t pid, ChildLimit limit) {
  throw std::runtime_error("child " + std::to_string(pid) + " stood still for " +
                           std::to_string(limit.count()) + " ms and was killed: " + name);
}

// Until the child is gone; false when the time is up first.
inline bool reaped(pid_t pid, int& status, ChildLimit limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const pid_t done = ::waitpid(pid, &status, WNOHANG);
    if (done == pid) return true;
    if (done < 0 && errno != EINTR) throw std::runtime_error("no child " + std::to_string(pid));
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 5);
  }
}

// By SIGABRT, so that it can say where it stands.
inline void put_down(pid_t pid) {
  int status = 0;
  for (const int signal : {SIGABRT, SIGKILL}) {
    ::kill(-pid, signal);
    ::kill(pid, signal);
    if (reaped(pid, status, ChildLimit{10'000})) return;
  }
}

// The exit code, or minus the signal that ended it; throws when it stands still.
inline int wait_for_child(pid_t pid, const std::string& name, ChildLimit limit = kChildMax) {
  int status = 0;
  if (!reaped(pid, status, limit)) {
    put_down(pid);
    stood_still(name, pid, limit);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct Pipe {
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close(int end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
  int ends[2] = {-1, -1};
};

// A program in a process group of its own, killed at the end of the scope.
class Program {
 public:
  using Strings = std::vector<std::string>;
  using Files = std::vector<std::pair<int, int>>;  // a descriptor of ours and its number there

  explicit Program(Strings arguments, Strings environment = {}, const Files& files = {},
                   ChildLimit limit = kChildMax)
      : name_(arguments.back()), limit_(limit) {
    for (char** entry = ::environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    for (const auto& [ours, its] : files) {
      ::posix_spawn_file_actions_adddup2(&actions, ours, its);
    }
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int failure =
        ::posix_spawn(&pid_, argv[0], &actions, &attributes, argv.data(), envp.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) throw std::runtime_error("cannot run " + arguments[0]);
  }
  ~Program() {
    try {
      kill9();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  bool is_running() const { return pid_ > 0; }
  int wait() { return wait_for_child(std::exchange(pid_, 0), name_, limit_); }
  void kill9() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  // What it writes, until it closes its end or there are `size_max` bytes.
  std::string read(int fd, std::size_t size_max = std::string::npos) {
    const auto end = std::chrono::steady_clock::now() + limit_;
    std::string text;
    char buffer[4096];
    while (text.size() < size_max) {
      const auto left =
          std::chrono::ceil<ChildLimit>(end - std::chrono::steady_clock::now()).count();
      pollfd readable{fd, POLLIN, 0};
      const int ready = left > 0 ? ::poll(&readable, 1, static_cast<int>(left)) : 0;
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) {
        const pid_t pid = std::exchange(pid_, 0);
        if (pid > 0) put_down(pid);
        stood_still(name_, pid, limit_);
      }
      const ssize_t size = ::read(fd, buffer, std::min(sizeof buffer, size_max - text.size()));
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) break;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  static std::vector<char*> pointers(Strings& strings) {
    std::vector<char*> out;
    for (std::string& text : strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
  }

  std::string name_;
  ChildLimit limit_;
  pid_t pid_ = 0;
};

// A hidden test case in a process of its own. It has a pipe to us and one from us.
class ChildCase {
 public:
  explicit ChildCase(const std::string& name, Program::Strings environment = {},
                     ChildLimit limit = kChildMax)
      : program_({std::filesystem::read_symlink("/proc/self/exe").string(), name},
                 with_pipes(std::move(environment)),
                 {{report_.ends[1], report_.ends[1]}, {control_.ends[0], control_.ends[0]}},
                 limit) {
    report_.close(1);
    control_.close(0);
  }

  pid_t pid() const { return program_.pid(); }
  bool is_running() const { return program_.is_running(); }
  // Until it is in its test case: starting a program takes a while.
  void await_begin() {
    if (!std::exchange(begun_, true)) program_.read(report_.ends[0], 1);
  }
  // All it reports.
  std::string report() {
    await_begin();
    return program_.read(report_.ends[0]);
  }
  // Ends its await_release().
  void release() { control_.close(1); }
  int wait() { return program_.wait(); }
  void kill9() { program_.kill9(); }

 private:
  // The first of two with one name counts. A sanitizer shows where a child stood.
  Program::Strings with_pipes(Program::Strings environment) const {
    const char* sanitizer = std::getenv("ASAN_OPTIONS");
    environment.push_back(std::string("ASAN_OPTIONS=") + (sanitizer != nullptr ? sanitizer : "") +
                          ":handle_abort=2");
    environment.push_back("CHILD_REPORT=" + std::to_string(report_.ends[1]));
    environment.push_back("CHILD_CONTROL=" + std::to_string(control_.ends[0]));
    return environment;
  }

  Pipe report_, control_;
  Program program_;
  bool begun_ = false;
};

// In the child: what it was given.
inline std::string parameter(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string("a child is given ") + name);
  return value;
}

// In the child: false when nobody listens.
inline bool report(const std::string& text) {
  const int fd = std::stoi(parameter("CHILD_REPORT"));
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}
inline void end_of_report() {
  ::close(std::stoi(parameter("CHILD_REPORT")));
}

// In the child: until release(), or until whoever started us is gone.
inline void await_release() {
  const int fd = std::stoi(parameter("CHILD_CONTROL"));
  char byte = 0;
  while (::read(fd, &byte, 1) < 0 && errno == EINTR) {
  }
}

// In the child: all of its test case. Exits with what `work` returns, with 99 after an exception.
template <class Work>
[[noreturn]] void in_child(Work work) {
  parameter("CHILD_REPORT");  // a pattern on the command line finds hidden cases, too: they fail
  int code = 99;
  try {
    if (report("b")) code = work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  ::_exit(code);
}

}  // namespace eventhub::test
