#pragma once
#include "eventhub/core/config.hpp"

namespace eventhub {

// Builds everything the roles need, runs them on one io_context until SIGTERM or SIGINT, drains,
// and returns the exit code: 0 after a drain, 1 when something stopped it, 2 for a bad setting. A
// second signal exits at once.
int run_hub(Config config);

// The whole program: reads the command line and does what it says (`eventhubd --help`).
int run_command_line(int argc, char** argv);

}  // namespace eventhub
