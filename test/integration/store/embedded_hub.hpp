#pragma once
// A process that holds an EmbeddedPostgres, as eventhubd does, so that tests can kill it.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "eventhub/store/embedded.hpp"
#include "support/shell.hpp"

namespace eventhub::test {

// A directory of the test program's own, which user postgres can enter.
class EmbeddedDir {
 public:
  EmbeddedDir() {
    if (::mkdtemp(root_.data()) == nullptr || ::chmod(root_.c_str(), 0755) != 0) {
      throw std::runtime_error("cannot make " + root_);
    }
  }
  ~EmbeddedDir() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  EmbeddedDir(const EmbeddedDir&) = delete;
  EmbeddedDir& operator=(const EmbeddedDir&) = delete;
  const std::string& root() const { return root_; }
  EmbeddedConfig config(const std::string& name = "data") const {
    EmbeddedConfig config;
    config.enabled = true;
    config.data_dir = root_ + "/" + name;
    return config;
  }

 private:
  std::string root_ = "/tmp/eventhub-embedded-XXXXXX";
};

class Hub {
 public:
  // Returns when the child's server is up or its start failed; at once when `wait` is false.
  explicit Hub(const EmbeddedConfig& config, bool wait = true) {
    ::signal(SIGPIPE, SIG_IGN);
    int report[2];
    int control[2];
    if (::pipe(report) != 0 || ::pipe(control) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(report[0]);
      ::close(control[1]);
      child(config, report[1], control[0]);
    }
    ::close(report[1]);
    ::close(control[0]);
    report_ = report[0];
    control_ = control[1];
    if (wait) this->wait();
  }
  ~Hub() {
    stop();
    ::close(report_);
  }
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Until its server is up or its start failed.
  void wait() {
    char buffer[4096];
    ssize_t size = 0;
    while ((size = ::read(report_, buffer, sizeof buffer)) > 0) {
      report_text_.append(buffer, static_cast<std::size_t>(size));
    }
  }

  pid_t pid() const { return pid_; }
  // Why it did not start; empty when it did.
  std::string error() const {
    return report_text_.starts_with("error ") ? report_text_.substr(6) : "";
  }
  std::string socket_dir() const { return report_text_.substr(report_text_.find(' ') + 1); }
  pid_t server_pid() const { return static_cast<pid_t>(std::atoi(report_text_.c_str())); }
  void kill9() {
    ::kill(pid_, SIGKILL);
    end();
  }
  // As a SIGTERM does: the EmbeddedPostgres is destroyed.
  void stop() {
    if (pid_ != 0) end();
  }

 private:
  [[noreturn]] static void child(const EmbeddedConfig& config, int report, int control) {
    std::string text;
    {
      std::unique_ptr<store::EmbeddedPostgres> server;
      try {
        server = store::EmbeddedPostgres::start(config);
        text = std::to_string(server->server_pid()) + " " + server->connection({}).host;
      } catch (const std::exception& error) {
        text = std::string("error ") + error.what();
      }
      if (::write(report, text.data(), text.size()) < 0) ::_exit(3);
      ::close(report);
      char byte = 0;
      while (::read(control, &byte, 1) < 0 && errno == EINTR) {
      }
    }
    ::_exit(0);
  }
  void end() {
    // A byte: closing it is not enough, children forked later hold it too.
    [[maybe_unused]] const ssize_t written = ::write(control_, "q", 1);
    ::close(control_);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid_ = 0;
  int report_ = -1, control_ = -1;
  std::string report_text_;
};

// What psql prints for role and database eventhub; throws with its complaint.
inline std::string psql(const std::string& socket_dir, const std::string& sql) {
  return shell("psql -X -q -A -t -v ON_ERROR_STOP=1 -h '" + socket_dir +
               "' -U eventhub -d eventhub -c \"" + sql + "\"");
}

inline bool is_running(pid_t pid) {
  std::string status;
  if (FILE* file = ::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "r")) {
    char buffer[256];
    status.assign(buffer, fread(buffer, 1, sizeof buffer, file));
    ::fclose(file);
  }
  return !status.empty() && status.find(") Z") == std::string::npos;
}

// Until `true_now()` holds; false after 20 s.
template <class Condition>
bool eventually(Condition true_now) {
  for (int i = 0; i < 400; ++i) {
    if (true_now()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

}  // namespace eventhub::test
