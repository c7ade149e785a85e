// load_config: collects values from the file, the environment and the flags, in this order, so that
// the later ones win; then check_config (config_checks.cpp) judges the whole.
#include "eventhub/core/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "core/options.hpp"
#include "eventhub/core/config_check.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kSecretFileBytesMax = 64 << 10;
constexpr std::array kDefaultFiles{"config/eventhub.toml", "/etc/eventhub/eventhub.toml"};

// A variable that is set to something; an empty one is as good as none.
const std::string* find_variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() || found->second.empty() ? nullptr : &found->second;
}

std::string read_secret_file(const std::string& variable, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kSecretFileBytesMax + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    throw ConfigError(fmt::format("{}: the file {} cannot be read", variable, path));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kSecretFileBytesMax)
    throw ConfigError(fmt::format("{}: the file {} is too large", variable, path));
  if (text.ends_with('\n')) text.pop_back();  // editors end a file with one
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

// Whether a connection URI (or libpq's keyword=value form) carries a password.
bool has_password(std::string_view url) {
  if (url.find("password") != std::string_view::npos) return true;
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = url.substr(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const auto at = authority.rfind('@');
  return at != std::string_view::npos &&
         authority.substr(0, at).find(':') != std::string_view::npos;
}

// Kubernetes gives every container variables like these for a service named eventhub-*.
bool is_service_variable(const std::string& name) {
  return name.find("_SERVICE_") != std::string::npos || name.find("_PORT_") != std::string::npos ||
         name.ends_with("_PORT");
}

class Loader {
 public:
  explicit Loader(std::vector<std::string>& warnings) : warnings_(warnings) {}

  void file(const std::string& asked, const Environment& environment) {
    const std::string path = choose_file(asked, environment);
    if (path.empty()) return;
    read_toml_file(path, [this](const Option& option, RawValue value, const std::string& origin) {
      assign(option, config_, std::move(value));
      origins_[option.name] = origin;
    });
  }

  void environment(const Environment& environment) {
    for (const Option& option : options()) {
      const std::string* value = find_variable(environment, option.env);
      const std::string* path =
          option.secret ? find_variable(environment, option.env + "_FILE") : nullptr;
      if (value != nullptr && path != nullptr)
        throw ConfigError(fmt::format("{0} and {0}_FILE are both set; keep one", option.env));
      if (value != nullptr) set(option, *value, option.env);
      if (value == nullptr && path == nullptr && !option.env_too.empty())
        if (const auto* shared = find_variable(environment, option.env_too))
          set(option, *shared, option.env_too);
      if (path != nullptr)
        set(option, read_secret_file(option.env + "_FILE", *path), option.env + "_FILE");
    }
    if (find_variable(environment, "STALE_TIMEOUT_SECONDS") != nullptr)
      warnings_.push_back(
          "STALE_TIMEOUT_SECONDS has no effect: messages of a crashed process are taken over at "
          "once, "
          "without a time-out");
    for (const auto& [name, value] : environment) warn_when_unknown(name);
  }

  void flags(const std::map<std::string, std::string>& flags) {
    for (const auto& [name, value] : flags) {
      const Option* option = find_option(name);
      if (option == nullptr) {
        const std::string near = nearest_name(name, false);
        throw ConfigError(
            fmt::format("--{}: unknown option{}", name,
                        near.empty() ? "" : fmt::format(" (did you mean --{}?)", near)));
      }
      if (option->secret && (option->name != "database.url" || has_password(value)))
        throw ConfigError(
            fmt::format("--{}: refused, everybody on this machine could read it; use {} or {}_FILE",
                        name, option->env, option->env));
      set(*option, value, "--" + name);
    }
  }

  Config finish(const std::vector<ConfigCheck>& checks) {
    check_config(config_, origins_, checks, warnings_);
    return std::move(config_);
  }

 private:
  static std::string choose_file(const std::string& asked, const Environment& environment) {
    if (!asked.empty()) return asked;
    if (const auto* named = find_variable(environment, "EVENTHUB_CONFIG")) return *named;
    for (const auto* path : kDefaultFiles) {
      std::error_code none;
      if (std::filesystem::exists(path, none)) return path;
    }
    return {};
  }

  void set(const Option& option, const std::string& text, const std::string& origin) {
    try {
      assign(option, config_, from_text(option, text));
    } catch (const std::invalid_argument& wrong) {
      throw ConfigError(fmt::format("{}: {}{}", origin,
                                    origin == "--" + option.name ? "" : option.name + ": ",
                                    wrong.what()));
    }
    origins_[option.name] = origin;
  }

  // Those that are no settings of a hub, but of commands (src/app/cli.cpp, src/cli/session.cpp).
  static bool is_variable_of_commands(std::string_view name) {
    constexpr std::array names{"EVENTHUB_CONFIG",  "EVENTHUB_LISTEN_SECRET",
                               "EVENTHUB_URL",     "EVENTHUB_API_KEY_FILE",
                               "EVENTHUB_API_KEY", "EVENTHUB_CA_FILE"};
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  // Not an error: the environment belongs to others too.
  void warn_when_unknown(const std::string& name) {
    if (!name.starts_with("EVENTHUB_") || is_variable_of_commands(name)) return;
    const auto known = [&name](const Option& option) {
      return name == option.env || (option.secret && name == option.env + "_FILE");
    };
    if (std::any_of(options().begin(), options().end(), known) || is_service_variable(name)) return;
    const std::string near = nearest_name(name, true);
    warnings_.push_back(fmt::format("{} is not a variable of eventhubd{}", name,
                                    near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
  }

  std::vector<std::string>& warnings_;
  Config config_;
  std::map<std::string, std::string> origins_;
};

}  // namespace

bool Config::has_role(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

Config load_config(const std::map<std::string, std::string>& flags, const Environment& environment,
                   const std::string& file, std::vector<std::string>& warnings) {
  return load_config(flags, environment, file, warnings, {});
}

Config load_config(const std::map<std::string, std::string>& flags, const Environment& environment,
                   const std::string& file, std::vector<std::string>& warnings,
                   const std::vector<ConfigCheck>& checks) {
  Loader loader(warnings);
  loader.file(file, environment);
  loader.environment(environment);
  loader.flags(flags);
  return loader.finish(checks);
}

}  // namespace eventhub
