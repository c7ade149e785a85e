#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "eventhub/core/time.hpp"

namespace eventhub::store {

// Whose rights PostgreSQL's programs get.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string name, home;
  bool switch_to = false;  // we are root and must become this user
};

struct Command {
  std::vector<std::string> arguments;    // the first is the program's path
  std::vector<std::string> environment;  // NAME=value, in addition to a small fixed set
  std::string directory;                 // working directory
  std::string input;                     // at most 4 KiB
  bool dies_with_us = false;
  Millis timeout{60'000};
};

struct Finished {
  int exit_code = -1;      // 128 + n when it died of signal n
  bool timed_out = false;  // it was killed
  std::string output;      // the last 4 KiB of stdout and stderr
};

// Runs a program to its end, in a session of its own (a Ctrl-C meant for us does not reach it),
// with no file descriptor of ours.
Finished run_program(const Command& command, const User& user);

}  // namespace eventhub::store
