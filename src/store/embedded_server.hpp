#pragma once
#include <string>

#include "store/embedded_files.hpp"

namespace eventhub::store {

// initdb with our settings, role and database, unless it is there. Safe against kill -9: made
// beside, then renamed.
void make_cluster(const EmbeddedFiles& files, const std::string& bin_dir);

// The PostgreSQL server of one data directory, driven with pg_ctl. The caller holds the lock file.
class EmbeddedServer {
 public:
  EmbeddedServer(EmbeddedFiles files, std::string bin_dir, std::string socket_dir);
  // Returns when it accepts connections. One that runs already is taken over, or stopped first when
  // it is on its way up or down.
  void start();
  void stop();
  // 0 when there is none.
  pid_t pid() const;
  const EmbeddedFiles& files() const { return files_; }
  const std::string& socket_dir() const { return socket_dir_; }

 private:
  Finished pg_ctl(std::vector<std::string> arguments, Millis timeout) const;
  std::string socket_option() const;
  bool taken_over() const;
  Finished launch() const;
  std::string last_words() const;
  EmbeddedFiles files_;
  std::string bin_dir_, socket_dir_;
};

}  // namespace eventhub::store
