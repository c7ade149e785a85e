#pragma once
#include <sys/types.h>

#include <string>

#include "eventhub/core/time.hpp"

namespace eventhub::store {

inline constexpr int kEmbeddedPort = 5432;  // only part of the socket's name

// Asks a server's socket who listens and whether sessions are let in.
class SocketProbe {
 public:
  explicit SocketProbe(const std::string& socket_dir);
  // Pid of the listening process, as the kernel knows it; 0 when nobody listens.
  pid_t listener() const;
  // Waits until a session is let in (not so during crash recovery); false when `limit` passed.
  bool wait_accepting(Millis limit) const;

 private:
  int open_socket() const;
  bool accepts() const;
  std::string path_;
};

}  // namespace eventhub::store
