#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "app/keys.hpp"
#include "app/listen.hpp"
#include "eventhub/cli/cli.hpp"

namespace eventhub::app {

enum class Command { run, migrate, config, listen, keys, version, healthcheck, bench, client };

// What was asked for. `flags` are settings by option name, for load_config.
struct CommandLine {
  Command command = Command::run;
  std::map<std::string, std::string> flags;
  std::string config_file;
  bool migrate_print = false;
  bool config_defaults = false;
  bool config_reference = false;
  std::string health_url;
  ListenOptions listen;
  KeysOptions keys;
  cli::Invocation client;
  std::string completion_shell;
  std::vector<std::string> bench;  // arguments of eventhub_bench
};

// The command line, or the exit code when it was answered already (--help, a mistake).
std::variant<CommandLine, int> parse_command_line(int argc, char** argv);

}  // namespace eventhub::app
