// Settings: which source wins, what stops the start and what it says, and that the generated files
// are fresh.
#include "eventhub/core/config.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/options.hpp"
#include "support/catch.hpp"

using namespace eventhub;

namespace {

// A file that lives as long as the test.
class TempFile {
 public:
  explicit TempFile(const std::string& text) {
    static int count = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("eventhub_config_" + std::to_string(::getpid()) + "_" + std::to_string(++count)))
                .string();
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TempFile() { std::filesystem::remove(path_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

using Flags = std::map<std::string, std::string>;

struct Loaded {
  Config config;
  std::vector<std::string> warnings;
  bool warned(const std::string& part) const {
    for (const auto& warning : warnings)
      if (warning.find(part) != std::string::npos) return true;
    return false;
  }
};

Loaded load(const std::string& toml, const Environment& environment = {}, const Flags& flags = {}) {
  const TempFile file(toml);
  Loaded loaded;
  loaded.config = load_config(flags, environment, file.path(), loaded.warnings);
  return loaded;
}

// The message with which a start is refused; FILE stands for the file's path.
std::string refusal(const std::string& toml, const Environment& environment = {},
                    const Flags& flags = {}) {
  const TempFile file(toml);
  std::vector<std::string> warnings;
  try {
    load_config(flags, environment, file.path(), warnings);
  } catch (const ConfigError& error) {
    std::string text = error.what();
    for (auto at = text.find(file.path()); at != std::string::npos; at = text.find(file.path()))
      text.replace(at, file.path().size(), "FILE");
    return text;
  }
  return "accepted";
}

// The default file with every option switched on.
std::string uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string out, line;
  while (std::getline(lines, line))
    out += (line.size() > 1 && line[0] == '#' && line[1] != ' ' ? line.substr(1) : line) + "\n";
  return out;
}

std::string read(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

void check_generated(const std::string& name, const std::string& wanted) {
  const std::string path = std::string(EVENTHUB_SOURCE_DIR) + "/" + name;
  if (std::getenv("EVENTHUB_UPDATE") != nullptr) std::ofstream(path, std::ios::binary) << wanted;
  INFO(name << " differs from the option table; write it anew with\n"
            << "  EVENTHUB_UPDATE=1 " << EVENTHUB_BINARY_DIR << "/test/unit_core \"[generated]\"");
  CHECK((read(path) == wanted));
}

}  // namespace

TEST_CASE("a flag wins over the environment, the environment over the file", "[config]") {
  const std::string file = "[server]\nport = 1\n";
  CHECK(load("").config.server.port == 3000);
  CHECK(load(file).config.server.port == 1);
  CHECK(load(file, {{"PORT", "2"}}).config.server.port == 2);
  CHECK(load(file, {{"PORT", "2"}}, {{"server.port", "3"}}).config.server.port == 3);
  CHECK(load(file, {{"PORT", ""}}).config.server.port == 1);
}

TEST_CASE("the variables of the specification work as they are", "[config]") {
  const auto [config, warnings] = load("", {{"DB_HOST", "db"},
                                            {"DB_PORT", "5433"},
                                            {"DB_NAME", "n"},
                                            {"DB_USER", "u"},
                                            {"DB_PASSWORD", "p"},
                                            {"DB_MAX_CONNECTIONS", "30"},
                                            {"PORT", "3001"},
                                            {"POLL_INTERVAL_MS", "50"},
                                            {"BATCH_SIZE", "500"},
                                            {"WEBHOOK_TIMEOUT_MS", "9000"},
                                            {"WORKER_ID", "w1"},
                                            {"CHECK_INTERVAL_MS", "5000"}});
  CHECK(config.database.host == "db");
  CHECK(config.database.port == 5433);
  CHECK(config.database.name == "n");
  CHECK(config.database.user == "u");
  CHECK(config.database.password == "p");
  CHECK(config.database.connections_max == 30);
  CHECK(config.server.port == 3001);
  CHECK(config.poll_interval == Millis(50));
  CHECK(config.fanout.batch_rows_max == 500);
  CHECK(config.webhook.timeout == Millis(9000));
  CHECK(config.worker_id == "w1");
  CHECK(config.cleanup.interval == Millis(5000));
  CHECK(warnings.empty());
}

TEST_CASE("every option can be set by its variable, its flag and the file", "[config]") {
  std::set<std::string> names, variables;
  for (const Option& option : options()) {
    INFO(option.name << " " << option.env);
    CHECK(names.insert(option.name).second);
    CHECK(variables.insert(option.env).second);
    CHECK(!option.meaning.empty());
    if (range_text(option).empty()) continue;
    // One off the default, on the side that is in range.
    const std::int64_t now = std::stoll(to_toml(option, Config{}));
    const std::int64_t other = now + 1 <= option.max ? now + 1 : now - 1;
    Config changed;
    assign(option, changed, other);
    CHECK(to_toml(option, changed) == std::to_string(other));
    CHECK_THROWS_WITH(assign(option, changed, option.max + 1), Catch::Contains(range_text(option)));
    CHECK_THROWS_WITH(assign(option, changed, option.min - 1), Catch::Contains(range_text(option)));
  }
  CHECK(load("", {{"EVENTHUB_DISPATCHER_IN_FLIGHT_MAX", "7"}}).config.dispatcher.in_flight_max ==
        7);
  CHECK(load("", {}, {{"cleanup.retention_seconds", "60"}}).config.cleanup.retention ==
        Seconds(60));
  CHECK(load("[log]\nlevel = \"debug\"\nformat = \"text\"\n").config.log.format ==
        log::Format::text);
  CHECK(load("[log]\nlevel = \"debug\"\n").config.log.level == log::Level::debug);
  CHECK(load("egress.allow_cidrs = [\"10.0.0.0/8\", \"::1/128\"]").config.egress.allow_cidrs ==
        std::vector<std::string>{"10.0.0.0/8", "::1/128"});
  CHECK(!load("", {{"EVENTHUB_DATABASE_MIGRATE", "no"}}).config.database.migrate);
}

TEST_CASE("roles come as a list or with commas", "[config]") {
  const std::vector<std::string> two{"api", "dispatcher"};
  CHECK(load("roles = [\"api\", \"dispatcher\"]").config.roles == two);
  CHECK(load("roles = \"api, dispatcher\"").config.roles == two);
  CHECK(load("", {}, {{"roles", "api,dispatcher"}}).config.roles == two);
  CHECK(load("", {{"EVENTHUB_ROLES", "api,dispatcher"}}).config.has_role("dispatcher"));
  CHECK(!load("", {{"EVENTHUB_ROLES", "api"}}).config.has_role("dispatcher"));
  CHECK(refusal("roles = [\"api\", \"sender\"]") ==
        "roles = [\"api\", \"sender\"] (FILE:1): \"sender\" is not one of api, fanout, dispatcher, "
        "cleanup");
  CHECK(refusal("", {}, {{"roles", "api,api"}}) ==
        "roles = [\"api\", \"api\"] (--roles): \"api\" is there twice");
  CHECK(refusal("roles = []").find("at least one role") != std::string::npos);
}

TEST_CASE("a bad setting stops the start and says which and where", "[config]") {
  CHECK(refusal("[server]\n\nport = 99999\n") == "FILE:3: server.port: 99999 is not in 0..65535");
  CHECK(refusal("[server]\nport = \"3000\"\n") == "FILE:2: server.port: is not an integer");
  CHECK(refusal("[server]\nport = 1.5\n").starts_with("FILE:2: server.port: "));
  CHECK(refusal("[server]\nprot = 1\n") ==
        "FILE:2: unknown option \"server.prot\" (did you mean server.port?)");
  CHECK(refusal("\n[sever]\nport = 1\n") == "FILE:2: unknown option \"sever\"");
  CHECK(refusal("server = 1\n") == "FILE:1: unknown option \"server\"");
  CHECK(refusal("[server\nport = 1\n").starts_with("FILE:1: "));
  CHECK(refusal("[database]\nmigrate = 1\n") == "FILE:2: database.migrate: is not true or false");
  CHECK(refusal("", {{"PORT", "abc"}}) == "PORT: server.port: \"abc\" is not an integer");
  CHECK(refusal("", {{"DB_PORT", "0"}}) == "DB_PORT: database.port: 0 is not in 1..65535");
  CHECK(refusal("", {}, {{"server.port", "-1"}}) == "--server.port: -1 is not in 0..65535");
  CHECK(refusal("", {}, {{"port", "1"}}) == "--port: unknown option (did you mean --server.port?)");
  CHECK(refusal("", {{"EVENTHUB_LOG_LEVEL", "loud"}}) ==
        "EVENTHUB_LOG_LEVEL: log.level: \"loud\" is not one of trace, debug, info, warn, error");
  CHECK(refusal("", {{"DB_HOST", "a\nb"}}) ==
        "DB_HOST: database.host: has a control character in it");
  std::vector<std::string> warnings;
  CHECK_THROWS_WITH(load_config({}, {}, "/nowhere/eventhub.toml", warnings),
                    "/nowhere/eventhub.toml: cannot be read");
  CHECK_THROWS_AS(load_config({}, {{"EVENTHUB_CONFIG", "/nowhere"}}, "", warnings), ConfigError);
}

TEST_CASE("settings that contradict each other stop the start", "[config]") {
  CHECK(refusal("[dispatcher]\nsend_lease_ms = 9000\nidle_session_timeout_ms = 9000\n") ==
        "dispatcher.send_lease_ms = 9000 (FILE:2) must be less than "
        "dispatcher.idle_session_timeout_ms = 9000 (FILE:3)");
  CHECK(refusal("dispatcher.heartbeat_ms = 1500") ==
        "dispatcher.heartbeat_ms = 1500 (FILE:1) must be less than 1/2 of "
        "dispatcher.send_lease_ms = 3000 (default)");
  CHECK(refusal("webhook.timeout_max_ms = 9999") ==
        "webhook.timeout_ms = 10000 (default) must be at most "
        "webhook.timeout_max_ms = 9999 (FILE:1)");
  CHECK(refusal("webhook.timeout_max_ms = 10000") == "accepted");
  CHECK(refusal("webhook.timeout_max_ms = 60001").find("1..60000") != std::string::npos);
  CHECK(refusal("dispatcher.heartbeat_ms = 2001").find("10..2000") != std::string::npos);
  CHECK(refusal("dispatcher.idle_session_timeout_ms = 2499").find("2500..") != std::string::npos);
  CHECK(refusal("dispatcher.takeover_margin_ms = 49").find("50..") != std::string::npos);
  CHECK(refusal("server.bodies_in_flight_bytes_max = 1048575") ==
        "server.body_bytes_max = 1048576 (default) must be at most "
        "server.bodies_in_flight_bytes_max = 1048575 (FILE:1)");
  CHECK(
      refusal("database.schema = \"a b\"").starts_with("database.schema = \"a b\" (FILE:1): must"));
}

TEST_CASE("too few database connections for the roles stop the start", "[config]") {
  Config all;
  CHECK(connections_needed(all) == 12);
  CHECK(refusal("", {{"DB_MAX_CONNECTIONS", "11"}}) ==
        "database.connections_max = 11 (DB_MAX_CONNECTIONS): the roles api, fanout, dispatcher, "
        "cleanup need at least 12 connections (DB_MAX_CONNECTIONS)");
  CHECK(refusal("", {{"DB_MAX_CONNECTIONS", "12"}}) == "accepted");
  CHECK(refusal("", {{"DB_MAX_CONNECTIONS", "6"}, {"EVENTHUB_ROLES", "api"}}) == "accepted");
  CHECK(refusal("", {{"DB_MAX_CONNECTIONS", "5"}, {"EVENTHUB_ROLES", "api"}}) != "accepted");
}

TEST_CASE("what is legal but doubtful is a warning", "[config]") {
  const Environment safe{{"DB_PASSWORD", "secret"}};
  const auto with = [&](const std::string& name, const std::string& value) {
    Environment environment = safe;
    environment[name] = value;
    return load("", environment);
  };
  CHECK(load("", safe).warnings.empty());
  CHECK(load("").warned("changeme"));
  CHECK(load("", {{"DATABASE_URL", "postgresql:///x"}}).warnings.empty());
  CHECK(load("", {}, {{"embedded.enabled", "true"}}).warnings.empty());
  CHECK(with("BATCH_SIZE", "20").warned("BATCH_SIZE"));
  CHECK(with("BATCH_SIZE", "20").config.fanout.batch_rows_max == 20);
  CHECK(with("BATCH_SIZE", "20").warned("dispatcher.window_events"));
  CHECK(with("BATCH_SIZE", "20").config.dispatcher.window_events == 20);
  CHECK(with("EVENTHUB_DRAIN_TIMEOUT_MS", "10999").warned("webhook.timeout_ms = 10000"));
  CHECK(with("EVENTHUB_DRAIN_TIMEOUT_MS", "11000").warnings.empty());
  CHECK(with("WEBHOOK_TIMEOUT_MS", "14001").warned("drain_timeout_ms = 15000"));
  CHECK(load("", safe, {{"roles", "api"}, {"drain_timeout_ms", "1"}}).warnings.empty());
  CHECK(with("STALE_TIMEOUT_SECONDS", "60").warned("STALE_TIMEOUT_SECONDS"));
  CHECK(with("EVENTHUB_LOG_LEVLE", "debug").warned("did you mean EVENTHUB_LOG_LEVEL?"));
  CHECK(with("EVENTHUB_DB_HOST", "x").warned("did you mean DB_HOST?"));
  CHECK(with("EVENTHUB_SERVICE_HOST", "10.0.0.1").warnings.empty());
  CHECK(load("", {{"DATABASE_URL", "postgresql:///x"}, {"DB_HOST", "db"}}).warned("no effect"));
}

TEST_CASE("secrets come from files and never from the command line or to the screen", "[config]") {
  const TempFile secret("hunter2\n");
  const Config config = load("", {{"DB_PASSWORD_FILE", secret.path()}}).config;
  CHECK(config.database.password == "hunter2");
  CHECK(print_config(config).find("hunter2") == std::string::npos);
  const Config url = load("", {{"DATABASE_URL_FILE", secret.path()}}).config;
  CHECK(url.database.url == "hunter2");
  CHECK(print_config(url).find("hunter2") == std::string::npos);
  CHECK(refusal("", {{"DB_PASSWORD_FILE", "/nowhere"}}) ==
        "DB_PASSWORD_FILE: the file /nowhere cannot be read");
  CHECK(refusal("", {{"DB_PASSWORD", "a"}, {"DB_PASSWORD_FILE", secret.path()}}) ==
        "DB_PASSWORD and DB_PASSWORD_FILE are both set; keep one");
  CHECK(refusal("", {}, {{"database.password", "hunter2"}})
            .starts_with("--database.password: refused"));
  CHECK(refusal("", {}, {{"database.url", "postgresql://u:hunter2@h/d"}}).find("refused") !=
        std::string::npos);
  CHECK(refusal("", {}, {{"database.url", "postgresql://u@h:5432/d?host=/tmp"}}) == "accepted");
}

TEST_CASE("the printed settings are a file that gives the same settings", "[config]") {
  const Config first =
      load("worker_id = \"a\\\"b\\\\c é\"\nroles = [\"api\"]\n[server]\nport = 1\n",
           {{"DB_PASSWORD", "x"}})
          .config;
  const Config second = load(print_config(first)).config;
  CHECK(second.worker_id == "a\"b\\c é");
  CHECK(second.roles == first.roles);
  CHECK(print_config(second) == print_config(first));
}

TEST_CASE("the default file holds every option with its default", "[config]") {
  const Config config = load(uncommented(default_config_file())).config;
  CHECK(print_config(config) == print_config(Config{}));
  for (const Option& option : options()) {
    INFO(option.name);
    const auto key = option.name.substr(option.name.find('.') + 1);
    CHECK(default_config_file().find("\n#" + key + " = ") != std::string::npos);
    CHECK(configuration_reference().find("`" + option.name + "` | `" + option.env + "`") !=
          std::string::npos);
  }
  CHECK(option_infos().size() == options().size());
  CHECK(load(default_config_file()).config.server.port == 3000);
}

TEST_CASE("generated files are fresh", "[config][generated]") {
  check_generated("config/eventhub.toml", default_config_file());
  check_generated("docs/configuration.md", configuration_reference());
}

TEST_CASE("access: settings that need each other, and a key that can be sent", "[config]") {
  using Catch::Matchers::Contains;
  CHECK_THAT(
      refusal("[server]\nmanagement_on_metrics_port = true\n"),
      Contains("server.management_on_metrics_port") && Contains("needs server.metrics_port"));
  CHECK_THAT(refusal("[server]\ntls_certificate_file = \"a\"\n"),
             Contains("needs server.tls_key_file"));
  CHECK_THAT(refusal("[server]\ntls_key_file = \"a\"\n"),
             Contains("needs server.tls_certificate_file"));
  const std::string key(32, 'k');
  CHECK(load("", {{"EVENTHUB_ADMIN_KEY", key}}).config.server.admin_key == key);
  for (const std::string& bad :
       {key.substr(1), key + " ", key + "\xc3\xa4", std::string(513, 'k')}) {
    const std::string said = refusal("", {{"EVENTHUB_ADMIN_KEY", bad}});
    CHECK_THAT(said, Contains("server.admin_key"));
    CHECK_THAT(said, !Contains(bad));
  }
  CHECK_THAT(refusal("", {}, {{"server.admin_key", key}}), Contains("refused"));
  CHECK(load("").config.server.bind == "127.0.0.1");
}
