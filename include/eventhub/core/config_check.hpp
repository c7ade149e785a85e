#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"

namespace eventhub {

// Judges one option by what only its module knows (libpq, OpenSSL, addresses): what is wrong with
// it, or nothing. Must not repeat secrets.
struct ConfigCheck {
  std::string option;
  std::function<std::string(const Config&)> wrong;
};

// load_config with further checks, whose complaints name the option and where it came from.
Config load_config(const std::map<std::string, std::string>& flags, const Environment& environment,
                   const std::string& file, std::vector<std::string>& warnings,
                   const std::vector<ConfigCheck>& checks);

}  // namespace eventhub
