#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"

namespace CLI {
class App;
}

namespace eventhub::cli {

// One of the commands that speak with a hub, as it was given.
struct Invocation {
  std::string path;  // "events list"; empty when it was another command
  std::map<std::string, std::vector<std::string>> values;  // by name; empty when not given

  bool has(const std::string& name) const {
    const auto found = values.find(name);
    return found != values.end() && !found->second.empty();
  }
};

// Adds the commands to the program's command line; `invocation` outlives its parsing.
void add_commands(CLI::App& app, Invocation& invocation);
// The script that teaches `shell` (bash, zsh, fish) all commands and options of `app`.
std::string completion_script(const CLI::App& app, const std::string& shell);

// Runs it. `own_url`: the hub of this machine, asked for only when nothing names another.
// The exit code: 0 done, 1 refused or failed, 2 misused, 3 not reachable.
int run(const Invocation& invocation, const Environment& environment,
        const std::function<std::string()>& own_url);

}  // namespace eventhub::cli
