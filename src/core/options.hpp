#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eventhub/core/config_check.hpp"

// The option table and what can be done with one of its rows. Readers of sources (config.cpp) and
// printers (config_print.cpp) know no option by name.
namespace eventhub {

// Where an option lives in a Config; which alternative it is, is the option's type.
using Slot = std::variant<std::string*, bool*, int*, std::uint16_t*, std::int64_t*, Millis*,
                          Seconds*, std::vector<std::string>*, log::Level*, log::Format*>;

// A value as it was read, before it is checked against its option.
using RawValue = std::variant<std::int64_t, bool, std::string, std::vector<std::string>>;

struct Option {
  std::string name;  // path in the file and the flag: server.port
  std::string env;   // empty in the table: EVENTHUB_ and the name
  Slot (*slot)(Config&) = nullptr;
  std::int64_t min = 0, max = 0;  // of numbers, inclusive
  std::string meaning;
  bool secret = false;
  std::string unset = {};    // what an empty text means, for people
  std::string env_too = {};  // another option's variable, for when `env` is not set
};

// Every option, in the order of the file.
const std::vector<Option>& options();
const Option* find_option(std::string_view name);
// The known name nearest to a mistyped one; empty when none is near. `env`: among variables.
std::string nearest_name(std::string_view mistyped, bool env);

// "integer", "text", "true or false", … and "1..65535" (empty when there is no range).
std::string type_name(const Option& option);
std::string range_text(const Option& option);

// Text of a flag or variable as the option's type. Both throw std::invalid_argument with what is
// wrong
// ("is not an integer"); the caller adds where it came from.
RawValue from_text(const Option& option, const std::string& text);
void assign(const Option& option, Config& config, RawValue value);

// The option's value as a TOML literal; secrets as they are.
std::string to_toml(const Option& option, const Config& config);
std::string toml_string(std::string_view text);

// config_toml.cpp: calls `set(name, value, "file:line")` for every key of the file. Throws
// ConfigError.
using SetValue =
    std::function<void(const Option& option, RawValue value, const std::string& origin)>;
void read_toml_file(const std::string& path, const SetValue& set);

// config_checks.cpp: rules that join several options, then `checks`. `origins` says where each one
// that is not a default came from. Throws ConfigError; appends to `warnings`.
void check_config(const Config& config, const std::map<std::string, std::string>& origins,
                  const std::vector<ConfigCheck>& checks, std::vector<std::string>& warnings);

}  // namespace eventhub
