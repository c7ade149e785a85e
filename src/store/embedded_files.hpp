#pragma once
#include <sys/types.h>
#include <string>

#include "eventhub/core/config.hpp"
#include "store/embedded_process.hpp"

namespace eventhub::store {

// The data directory of an embedded server:
//   eventhub.lock   held by the process that uses it; its text is the pid
//   postgresql/     PostgreSQL's own directory
//   run/            the socket, unless the path is too long for one
//   log/            what the server says, a file per day of the week
//   startup.log     what it said before its log files were open
struct EmbeddedFiles {
  std::string data_dir;
  User user;
  std::string cluster() const { return data_dir + "/postgresql"; }
  std::string startup_log() const { return data_dir + "/startup.log"; }
  // The pid file's text; a stale one is possible.
  std::string pid_file() const { return cluster() + "/postmaster.pid"; }
};

// Who the server runs as; throws when that user does not exist or is root.
User embedded_user(const EmbeddedConfig& config);
// Finds (or makes) the data directory, owned by `user`.
std::string embedded_data_dir(const EmbeddedConfig& config, const User& user);
// Makes `path` with mode 0700, owned by `user`; throws when it belongs to somebody else.
void own_directory(const std::string& path, const User& user);
// Where postgres, initdb and pg_ctl are: configured, or of the cluster's version, or the newest.
std::string embedded_bin_dir(const EmbeddedConfig& config, const std::string& cluster);
// Locks the data directory for this process; throws naming the other one.
int lock_data_dir(const std::string& data_dir);
// Directory of the socket: in the data directory, or a short one in /tmp.
std::string embedded_socket_dir(const EmbeddedFiles& files);

// The number the text begins with; 0 when it does not.
int number_in(const std::string& text);
// The file's text, at most its last `bytes_max`; empty when there is none. Does not follow links.
std::string read_tail(const std::string& path, std::size_t bytes_max);

}  // namespace eventhub::store
