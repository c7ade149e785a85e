// Runs initdb, postgres and pg_ctl for embedded*.cpp: fork, drop privileges, exec, collect the
// output, wait with a deadline.
#include "store/embedded_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace eventhub::store {
namespace {

constexpr std::size_t kOutputMax = 4096;
using Deadline = std::chrono::steady_clock::time_point;

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment_of(const Command& command, const User& user) {
  std::vector<std::string> out = command.environment;
  out.insert(out.end(), {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC",
                         "HOME=" + user.home, "USER=" + user.name});
  return out;
}

// What the child needs, made before fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::vector<std::string> arguments, environment;
  std::vector<char*> argv, envp;
};

[[noreturn]] void give_up(const char* what) {
  const char* reason = strerrordesc_np(errno);
  for (const char* text : {what, ": ", reason != nullptr ? reason : "error", "\n"}) {
    if (::write(2, text, std::strlen(text)) < 0) break;
  }
  ::_exit(126);
}

[[noreturn]] void become(const Command& command, const User& user, const Prepared& prepared,
                         int input, int output) {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD})
    static_cast<void>(::signal(signal, SIG_DFL));
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) give_up("dup2");
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  if (user.switch_to) {
    if (::setgroups(user.groups.size(), user.groups.data()) != 0) give_up("setgroups");
    if (::setgid(user.gid) != 0) give_up("setgid");
    if (::setuid(user.uid) != 0) give_up("setuid");
  }
  // After setuid, which clears it.
  if (command.dies_with_us) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(077);
  if (::chdir(command.directory.c_str()) != 0) give_up(command.directory.c_str());
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  give_up(prepared.argv[0]);
}

int millis_left(Deadline deadline) {
  const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

// Reads until the program and its children closed the pipe; false when the deadline came first.
bool collect(int fd, Deadline deadline, std::string& output) {
  std::array<char, 1024> buffer{};
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    const int left = millis_left(deadline);
    const int ready = ::poll(&waiting, 1, left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return false;
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return true;
    output.append(buffer.data(), static_cast<std::size_t>(size));
    if (output.size() > 2 * kOutputMax) output.erase(0, output.size() - kOutputMax);
  }
}

int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Waits for `pid`; kills it (and its session) at the deadline.
void reap(pid_t pid, Deadline deadline, Finished& finished) {
  int status = 0;
  for (;;) {
    const pid_t done = ::waitpid(pid, &status, WNOHANG);
    if (done == pid) break;
    if (done < 0 && errno != EINTR) return;
    if (millis_left(deadline) == 0 && !finished.timed_out) {
      finished.timed_out = true;
      ::kill(-pid, SIGKILL);
      ::kill(pid, SIGKILL);
    }
    ::poll(nullptr, 0, 5);
  }
  finished.exit_code = exit_code(status);
}

struct Pipe {
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(int which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
  int ends[2]{-1, -1};
};

}  // namespace

Finished run_program(const Command& command, const User& user) {
  Prepared prepared{command.arguments, environment_of(command, user), {}, {}};
  prepared.argv = pointers(prepared.arguments);
  prepared.envp = pointers(prepared.environment);
  Pipe input;
  Pipe output;
  // Fits into the pipe's buffer, so this cannot block.
  if (command.input.size() > kOutputMax) throw std::logic_error("input too long");
  if (::write(input.ends[1], command.input.data(), command.input.size()) < 0) {
    throw std::runtime_error("cannot write to a pipe");
  }
  input.close_end(1);
  const Deadline deadline = std::chrono::steady_clock::now() + command.timeout;
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error(std::string("cannot fork: ") + std::strerror(errno));
  if (pid == 0) become(command, user, prepared, input.ends[0], output.ends[1]);
  output.close_end(1);
  Finished finished;
  collect(output.ends[0], deadline, finished.output);
  reap(pid, deadline, finished);
  if (finished.output.size() > kOutputMax) {
    finished.output.erase(0, finished.output.size() - kOutputMax);
  }
  return finished;
}

}  // namespace eventhub::store
