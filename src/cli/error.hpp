#pragma once
#include <stdexcept>
#include <string>

namespace eventhub::cli {

// Exit codes of the commands that speak with a hub.
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;       // the hub said no, or not all of it was done
inline constexpr int kMisused = 2;       // the command line, or a file that it names
inline constexpr int kNotReachable = 3;  // no answer

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class RefusedError : public std::runtime_error {
 public:
  // `http_status` of the answer, if it was one.
  explicit RefusedError(const std::string& what, int http_status = 0)
      : std::runtime_error(what), status(http_status) {}
  int status;
};

}  // namespace eventhub::cli
