// The command line: every row of the option table is --section.name=value, and the commands have
// options of their own. Hands a CommandLine to commands.cpp. Those that speak with a hub are added
// by cli/arguments.cpp.
#include "app/cli.hpp"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string_view>

#include "eventhub/core/config.hpp"

namespace eventhub::app {
namespace {

// A command line is public: anyone on the machine can list it.
bool is_secret(const std::string& name) {
  return name.ends_with("password") || name.ends_with("secret") || name.ends_with("_key");
}

bool has_password(const std::string& url) {
  const auto scheme = url.find("://");
  const auto at = url.find('@');
  if (url.find("password=") != std::string::npos) return true;
  if (scheme == std::string::npos || at == std::string::npos) return false;
  return url.find(':', scheme + 3) < at;
}

void refuse_secret(const std::string& name, const std::string& env) {
  throw CLI::ValidationError(
      "--" + name, "a password on the command line is seen by everyone on this machine; use " +
                       env + ", " + env + "_FILE or the configuration file");
}

// Short names of the settings that people type.
std::string names_of(const std::string& option) {
  const std::string name = "--" + option;
  if (option == "server.port") return "--port," + name;
  return name;
}

void add_settings(CLI::App& app, CommandLine& line) {
  for (const OptionInfo& info : option_infos()) {
    const auto take = [&line, name = info.name, env = info.env](const std::string& value) {
      if (is_secret(name) || (name == "database.url" && has_password(value))) {
        refuse_secret(name, env);
      }
      line.flags[name] = value;
    };
    app.add_option_function<std::string>(names_of(info.name), take,
                                         info.meaning + " (" + info.env + ")")
        ->type_name(info.default_value.empty() ? "VALUE" : "[" + info.default_value + "]")
        ->group("Settings (flag > environment > file > default)");
  }
  app.add_option("--config", line.config_file, "configuration file (EVENTHUB_CONFIG)")
      ->type_name("FILE");
  const auto embedded = [&line](const std::string& value) {
    line.flags["embedded.enabled"] = "true";
    if (!value.empty() && value != "true" && value != "{}") line.flags["embedded.data_dir"] = value;
  };
  app.add_option_function<std::string>("--embedded", embedded,
                                       "run a private PostgreSQL, its files in DIR")
      ->expected(0, 1)
      ->type_name("[DIR]");
  app.add_flag_callback(
      "--insecure", [&line] { line.flags["server.insecure"] = "true"; },
      "serve everybody while there is no API key (server.insecure)");
}

void add_listen(CLI::App& app, ListenOptions& listen) {
  auto* command = app.add_subcommand("listen", "receive webhooks and print them");
  command->add_option("--port", listen.port, "port to listen on")->capture_default_str();
  command->add_option("--host", listen.host, "address to listen on")->capture_default_str();
  command->add_option("--status", listen.rule.status, "answer with this status")
      ->check(CLI::Range(200, 599))
      ->capture_default_str();
  command
      ->add_option("--fail-share", listen.rule.fail_share, "share of deliveries that fail, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--fail-status", listen.rule.fail_status, "what a failing delivery is answered")
      ->check(CLI::Range(200, 599))
      ->capture_default_str();
  command->add_option("--delay-ms", listen.rule.delay_ms, "wait before the answer")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  command->add_option("--seed", listen.seed, "which deliveries fail")->capture_default_str();
  const auto refuse = [](const std::string&) {
    throw CLI::ValidationError("--secret",
                               "a secret on the command line is seen by everyone on this machine; "
                               "use EVENTHUB_LISTEN_SECRET or --secret-file");
  };
  command->add_option_function<std::string>("--secret", refuse, "refused; see --secret-file")
      ->group("");
  command
      ->add_option("--secret-file", listen.secret_file,
                   "file with whsec_…: signatures that do not fit are answered 401 "
                   "(EVENTHUB_LISTEN_SECRET holds the secret itself)")
      ->type_name("FILE");
  command->add_option("--rule", listen.rules,
                      "another behaviour for one path: PATH:status=503,share=0.1,delay_ms=50");
  command->add_option("--log", listen.log_file, "append one JSON object per delivery to this file");
  command->add_flag("--quiet", listen.quiet, "print nothing");
}

void add_keys(CLI::App& app, KeysOptions& keys) {
  auto* command =
      app.add_subcommand("keys", "make, list and revoke API keys; change the master key");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* meaning, KeysOptions::Action action) {
    auto* made = command->add_subcommand(name, meaning);
    made->callback([&keys, action] { keys.action = action; });
    return made;
  };
  auto* create = add("create", "make a key; it is printed once", KeysOptions::Action::create);
  create->add_option("--name", keys.name, "what to call it")->required();
  create->add_option("--scopes", keys.scopes, "any of publish, read, admin")
      ->required()
      ->delimiter(',');
  create->add_option("--producer", keys.producer,
                     "whose idempotency keys it shares; the name, if not given");
  create->add_option("--rate", keys.rate, "requests per second it may make; no limit if not given");
  create->add_option("--burst", keys.burst, "requests at once; those of a second if not given");
  create->add_flag("--json", keys.json, "print a JSON object");
  auto* list = add("list", "the keys that work", KeysOptions::Action::list);
  list->add_flag("--json", keys.json, "print JSON");
  auto* revoke = add("revoke", "end a key", KeysOptions::Action::revoke);
  revoke->add_option("key", keys.name, "its name or id")->required();
  add("rotate-master",
      "encrypt secrets and headers of all subscribers with the first key of secrets.master_key",
      KeysOptions::Action::rotate_master);
  for (auto* one : command->get_subcommands(nullptr)) one->fallthrough();
}

void add_commands(CLI::App& app, CommandLine& line) {
  auto* migrate = app.add_subcommand("migrate", "bring the database schema to this version");
  migrate->add_flag("--print", line.migrate_print, "print the schema as SQL and do nothing");
  auto* config = app.add_subcommand("config", "print the effective configuration");
  config->add_flag("--defaults", line.config_defaults, "print the default configuration file");
  config->add_flag("--reference", line.config_reference, "print the reference of all settings");
  app.add_subcommand("version", "print the version");
  auto* health = app.add_subcommand("healthcheck", "exit 0 when the hub on PORT is ready");
  health->add_option("url", line.health_url, "default: http://127.0.0.1:PORT/readyz");
  app.add_subcommand("bench", "measure a hub: eventhub_bench, with its options (bench --help)");
  add_listen(app, line.listen);
  add_keys(app, line.keys);
  cli::add_commands(app, line.client);
  auto* completion = app.add_subcommand("completion", "print what a shell needs to complete");
  completion->add_option("shell", line.completion_shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->footer(
      "Examples:\n  source <(eventhubd completion bash)\n"
      "  eventhubd completion fish | source");
  for (auto* command : app.get_subcommands(nullptr)) command->fallthrough();
  app.require_subcommand(0, 1);
}

Command command_of(const CLI::App& app, const CommandLine& line) {
  if (app.got_subcommand("migrate")) return Command::migrate;
  if (app.got_subcommand("config")) return Command::config;
  if (app.got_subcommand("listen")) return Command::listen;
  if (app.got_subcommand("keys")) return Command::keys;
  if (!line.client.path.empty()) return Command::client;
  if (app.got_subcommand("version")) return Command::version;
  if (app.got_subcommand("healthcheck")) return Command::healthcheck;
  return Command::run;
}

// What nobody asked for may be a mistyped secret: options without their values, and a value behind
// an unknown option not at all.
int tell_extras(const CLI::App& app) {
  std::string options, words;
  for (const std::string& extra : app.remaining(true)) {
    std::string& list = extra.starts_with('-') ? options : words;
    list += " " + extra.substr(0, extra.find('='));
  }
  std::cerr << "eventhubd: not expected:" << (options.empty() ? words : options)
            << "\nRun with --help for more information." << std::endl;
  return 2;
}

}  // namespace

std::variant<CommandLine, int> parse_command_line(int argc, char** argv) {
  CommandLine line;
  if (argc > 1 && std::string_view(argv[1]) == "bench") {  // another program's options
    line.command = Command::bench;
    line.bench.assign(argv + 2, argv + argc);
    return line;
  }
  CLI::App app{"eventhubd: takes events over HTTP and delivers them as webhooks, from PostgreSQL"};
  app.set_version_flag("--version", "eventhubd " EVENTHUB_VERSION);
  add_settings(app, line);
  add_commands(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // What is not known says more than what is therefore missing.
    const bool refused = error.get_exit_code() != 0;
    if (refused && !app.remaining(true).empty()) return tell_extras(app);
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  }
  if (!line.completion_shell.empty()) {
    std::cout << cli::completion_script(app, line.completion_shell) << std::flush;
    return 0;
  }
  line.command = command_of(app, line);
  return line;
}

}  // namespace eventhub::app
