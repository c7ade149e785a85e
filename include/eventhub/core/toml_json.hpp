#pragma once
#include <string>
#include <string_view>

namespace eventhub {

// A TOML document as a JSON object, for what is written in TOML and sent as JSON. Throws
// ConfigError, naming `path` and the line.
std::string toml_to_json(std::string_view text, std::string_view path);

}  // namespace eventhub
