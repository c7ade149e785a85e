#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The files of bench/scenarios: a load and what disturbs it, under a name.
namespace eventhub::bench {

struct Scenario {
  using Settings = std::vector<std::pair<std::string, std::string>>;  // option's name and value
  std::string name, file, about;
  std::vector<std::string> hub;  // flags that scripts/bench starts the hub with
  bool restart = false;          // scripts/bench restarts the hub afterwards, and times that
  Settings load;                 // everything else of the file
  Settings disturb;              // its table [disturb]
};

// A name in `directory`, or the path of a file (anything with a '/' or ending in ".toml"). Throws
// std::invalid_argument, with the file's name in it.
Scenario read_scenario(const std::string& name_or_path, const std::string& directory);

// All of a directory, by name.
std::vector<Scenario> list_scenarios(const std::string& directory);

}  // namespace eventhub::bench
