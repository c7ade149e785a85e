// The commands of eventhubd. `run` goes on in app.cpp, `listen` in listen.cpp, `keys` in keys.cpp,
// `healthcheck` in healthcheck.cpp; what speaks with a hub in src/cli.
#include <unistd.h>

#include <iostream>

#include "app/bench.hpp"
#include "app/cli.hpp"
#include "app/config_checks.hpp"
#include "app/doctor.hpp"
#include "app/healthcheck.hpp"
#include "app/migrate.hpp"
#include "eventhub/app/app.hpp"
#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/http/unix_socket.hpp"

namespace eventhub {
namespace app {
namespace {

Environment environment() {
  Environment found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) {
      found.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return found;
}

// Also starts the log, so that what is wrong with the settings can be said in it.
Config configured(const CommandLine& line, std::vector<std::string>& warnings) {
  Environment variables = environment();
  EVENTHUB_FAULT_ARM(variables);
  Config config = load_config(line.flags, variables, line.config_file, warnings, config_checks());
  log::configure(config.log.level, config.log.format,
                 static_cast<std::size_t>(config.log.buffer_bytes_max));
  return config;
}

Config configured(const CommandLine& line) {
  std::vector<std::string> warnings;
  Config config = configured(line, warnings);
  if (line.command == Command::run) {
    for (const auto& warning : warnings) log::warn("configuration", {{"warning", warning}});
  }
  return config;
}

int config_command(const CommandLine& line) {
  if (line.config_defaults) {
    std::cout << default_config_file();
  } else if (line.config_reference) {
    std::cout << configuration_reference();
  } else {
    std::cout << print_config(configured(line));
  }
  return std::cout.flush() ? 0 : 1;
}

int migrate_command(const CommandLine& line) {
  const Config config = configured(line);
  if (line.migrate_print) {
    std::cout << schema_text(config) << std::flush;
    return 0;
  }
  return run_migrate(config);
}

std::string own_url(const Config& config) {
  if (http::is_unix(config.server.bind)) return config.server.bind;
  const std::string scheme = config.server.tls_certificate_file.empty() ? "http" : "https";
  return scheme + "://127.0.0.1:" + std::to_string(config.server.port);
}

int healthcheck_command(const CommandLine& line) {
  if (!line.health_url.empty()) return healthcheck(line.health_url);
  const std::string own = own_url(configured(line));
  return healthcheck(http::is_unix(own) ? own : own + "/readyz");
}

int client_command(const CommandLine& line) {
  log::to_standard_error();  // what is printed is for a script
  if (line.client.path == "doctor") {
    const Environment variables = environment();
    return run_doctor(
        {.configuration =
             [&](std::vector<std::string>& warnings) { return configured(line, warnings); },
         .own_url = own_url,
         .invocation = line.client,
         .environment = variables});
  }
  return cli::run(line.client, environment(), [&line] { return own_url(configured(line)); });
}

int listen_command(const CommandLine& line) {
  ListenOptions options = line.listen;
  const Environment variables = environment();
  const auto secret = variables.find("EVENTHUB_LISTEN_SECRET");
  if (secret != variables.end()) options.secret = secret->second;
  if (!options.secret_file.empty()) options.secret = read_secret_file(options.secret_file);
  return listen(options);
}

int keys_command(const CommandLine& line) {
  log::to_standard_error();  // what is printed is for a script
  return run_keys(configured(line), line.keys);
}

int run(const CommandLine& line) {
  switch (line.command) {
    case Command::run:
      return run_hub(configured(line));
    case Command::migrate:
      return migrate_command(line);
    case Command::config:
      return config_command(line);
    case Command::listen:
      return listen_command(line);
    case Command::keys:
      return keys_command(line);
    case Command::client:
      return client_command(line);
    case Command::bench:
      return run_bench(line.bench);
    case Command::healthcheck:
      return healthcheck_command(line);
    case Command::version:
      std::cout << "eventhubd " EVENTHUB_VERSION "\n" << std::flush;
  }
  return 0;
}

}  // namespace
}  // namespace app

int run_command_line(int argc, char** argv) {
  int code = 1;
  try {
    const auto line = app::parse_command_line(argc, argv);
    if (const int* answered = std::get_if<int>(&line)) return *answered;
    code = app::run(std::get<app::CommandLine>(line));
  } catch (const ConfigError& error) {
    std::cerr << "eventhubd: " << error.what() << std::endl;
    code = 2;
  } catch (const std::exception& error) {
    std::cerr << "eventhubd: " << error.what() << std::endl;
  }
  log::flush(1'000);
  return code;
}

}  // namespace eventhub
