#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"

namespace eventhub::app {

struct KeysOptions {
  enum class Action { create, list, revoke, rotate_master };
  Action action = Action::list;
  std::string name;  // of the key; for revoke also its id
  std::string producer;
  std::vector<std::string> scopes;
  std::optional<double> rate;
  std::optional<std::int64_t> burst;
  bool json = false;
};

// `eventhubd keys`: works on the database, whether a hub runs or not. Exit code.
int run_keys(const Config& config, const KeysOptions& options);

}  // namespace eventhub::app
