#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/rows.hpp"

namespace eventhub::cli {

// A subscriber as a file wants it: members of the API, as JSON.
struct Wanted {
  std::string name;
  std::string json;
};

struct PlannedChange {
  enum class Kind { create, change, unchanged, remove };
  Kind kind = Kind::unchanged;
  std::string name, id;
  std::string body;                  // of POST or PATCH
  std::vector<std::string> members;  // that change
};
std::string_view to_string(PlannedChange::Kind kind);

// The value of an environment variable, or nothing.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

// The [[subscriber]] tables of a TOML file. `secret_env` and `secret_file` become `secret`, in
// `auth` any NAME_env and NAME_file become NAME; each name in `unset` becomes null. Throws
// UsageError, ConfigError.
std::vector<Wanted> read_subscriber_file(std::string_view text, const std::string& path,
                                         const Variables& variables);

struct PlanOptions {
  bool prune = false;
  bool write_secrets = false;
};
// What turns `present`, the rows of GET /subscribers, into `wanted`, in the order of the file.
// Members that the file does not name stay as they are. Throws UsageError when a name stands for
// several rows.
std::vector<PlannedChange> plan_changes(const std::vector<Wanted>& wanted,
                                        const std::vector<Row>& present,
                                        const PlanOptions& options);

}  // namespace eventhub::cli
