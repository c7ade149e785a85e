#pragma once
// A process that holds an EmbeddedPostgres, as eventhubd does, so that tests can kill it.
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "eventhub/store/embedded.hpp"
#include "support/catch.hpp"
#include "support/child_case.hpp"
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
  std::string root_ = std::filesystem::temp_directory_path() / "eventhub-embedded-XXXXXX";
};

class EmbeddedHub {
 public:
  // Returns when the child's server is up or its start failed; at once when `wait` is false.
  explicit EmbeddedHub(const EmbeddedConfig& config, bool wait = true)
      : child_("child: holds an embedded server",
               {"CHILD_DATA_DIR=" + config.data_dir, "CHILD_BIN_DIR=" + config.bin_dir,
                "CHILD_RUN_AS=" + config.run_as}) {
    if (wait) this->wait();
  }
  ~EmbeddedHub() {
    try {
      stop();
    } catch (const std::exception& error) {
      FAIL_CHECK(error.what());
    }
  }
  EmbeddedHub(const EmbeddedHub&) = delete;
  EmbeddedHub& operator=(const EmbeddedHub&) = delete;

  // Until its server is up or its start failed.
  void wait() { report_ = child_.report(); }

  pid_t pid() const { return child_.pid(); }
  // Why it did not start; empty when it did.
  std::string error() const { return report_.starts_with("error ") ? report_.substr(6) : ""; }
  std::string socket_dir() const { return report_.substr(report_.find(' ') + 1); }
  pid_t server_pid() const { return static_cast<pid_t>(std::atoi(report_.c_str())); }
  void kill9() { child_.kill9(); }
  // As a SIGTERM does: the EmbeddedPostgres is destroyed.
  void stop() {
    if (!child_.is_running()) return;
    child_.release();
    child_.wait();
  }

 private:
  ChildCase child_;
  std::string report_;
};

// What the child of EmbeddedHub does (embedded_test.cpp).
inline int hold_embedded_server() {
  EmbeddedConfig config;
  config.enabled = true;
  config.data_dir = parameter("CHILD_DATA_DIR");
  config.bin_dir = parameter("CHILD_BIN_DIR");
  config.run_as = parameter("CHILD_RUN_AS");
  std::unique_ptr<store::EmbeddedPostgres> server;
  std::string text;
  try {
    server = store::EmbeddedPostgres::start(config);
    text = std::to_string(server->server_pid()) + " " + server->connection({}).host;
  } catch (const std::exception& error) {
    text = std::string("error ") + error.what();
  }
  if (!report(text)) return 3;
  end_of_report();
  await_release();
  return 0;
}

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
