// Rules that join several options, and the warnings. The last step of load_config.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/options.hpp"

namespace eventhub {
namespace {

constexpr std::array<std::string_view, 4> kRoles{"api", "fanout", "dispatcher", "cleanup"};
constexpr int kSmallBatch = 100;
constexpr std::size_t kAdminKeyMin = 32, kAdminKeyMax = 512;

class Checker {
 public:
  Checker(const Config& config, const std::map<std::string, std::string>& origins)
      : config_(config), origins_(origins) {}

  // "server.port = 3000 (eventhub.toml:7)"
  std::string quote(std::string_view name) const {
    const Option& option = *find_option(name);
    const auto found = origins_.find(option.name);
    return fmt::format("{} = {} ({})", name, option.secret ? "…" : to_toml(option, config_),
                       found == origins_.end() ? "default" : found->second);
  }

  // `factor` times `small` must be below, or at most, `large`.
  template <class T, class U>
  void order(std::string_view small, T small_value, std::string_view large, U large_value,
             bool equal_is_fine, int factor = 1) const {
    const auto left = small_value * factor;
    if (left < large_value || (equal_is_fine && left == large_value)) return;
    throw ConfigError(
        fmt::format("{} must be {} {}{}", quote(small), equal_is_fine ? "at most" : "less than",
                    factor == 1 ? "" : fmt::format("1/{} of ", factor), quote(large)));
  }

  [[noreturn]] void fail(std::string_view name, std::string_view why) const {
    throw ConfigError(fmt::format("{}: {}", quote(name), why));
  }

 private:
  const Config& config_;
  const std::map<std::string, std::string>& origins_;
};

void check_roles(const Config& config, const Checker& check) {
  if (config.roles.empty()) check.fail("roles", "at least one role is needed");
  for (auto role = config.roles.begin(); role != config.roles.end(); ++role) {
    if (std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end())
      check.fail("roles", fmt::format("\"{}\" is not one of {}", *role, fmt::join(kRoles, ", ")));
    if (std::find(config.roles.begin(), role, *role) != role)
      check.fail("roles", fmt::format("\"{}\" is there twice", *role));
  }
}

void check_sizes(const Config& config, const Checker& check) {
  const auto& [server, ingest] = std::tie(config.server, config.ingest);
  check.order("server.body_bytes_max", server.body_bytes_max, "server.bodies_in_flight_bytes_max",
              server.bodies_in_flight_bytes_max, true);
  check.order("server.body_bytes_max", server.body_bytes_max, "ingest.queue_bytes_max",
              ingest.queue_bytes_max, true);
  check.order("ingest.batch_bytes_max", ingest.batch_bytes_max, "ingest.queue_bytes_max",
              ingest.queue_bytes_max, true);
}

void check_times(const Config& config, const Checker& check) {
  const DispatcherConfig& d = config.dispatcher;
  check.order("dispatcher.heartbeat_ms", d.heartbeat, "dispatcher.send_lease_ms", d.send_lease,
              false, 2);
  check.order("dispatcher.send_lease_ms", d.send_lease, "dispatcher.idle_session_timeout_ms",
              d.idle_session_timeout, false);
  check.order("dispatcher.idle_session_timeout_ms", d.idle_session_timeout,
              "dispatcher.dead_node_after_ms", d.dead_node_after, true);
  check.order("webhook.timeout_ms", config.webhook.timeout, "webhook.timeout_max_ms",
              config.webhook.timeout_max, true);
  check.order("database.lock_timeout_ms", config.database.lock_timeout,
              "database.statement_timeout_ms", config.database.statement_timeout, false);
}

void check_database(const Config& config, const Checker& check) {
  const int needed = connections_needed(config);
  if (config.database.connections_max < needed)
    check.fail("database.connections_max",
               fmt::format("the roles {} need at least {} connections (DB_MAX_CONNECTIONS)",
                           fmt::join(config.roles, ", "), needed));
  const std::string& schema = config.database.schema;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (schema.empty() || schema.size() > 63 || (schema[0] >= '0' && schema[0] <= '9') ||
      schema.starts_with("pg_") || !std::all_of(schema.begin(), schema.end(), plain))
    check.fail("database.schema",
               "must be 1 to 63 of a-z, 0-9 and _, not begin with a digit nor with pg_");
}

void check_ports(const Config& config, const Checker& check) {
  const ServerConfig& server = config.server;
  if (server.metrics_port != 0 && server.metrics_port == server.port)
    check.fail("server.metrics_port", "must be another port than server.port");
  if (server.management_on_metrics_port && server.metrics_port == 0)
    check.fail("server.management_on_metrics_port", "needs server.metrics_port");
}

void check_tls(const Config& config, const Checker& check) {
  const bool certificate = !config.server.tls_certificate_file.empty();
  const bool key = !config.server.tls_key_file.empty();
  if (certificate && !key) check.fail("server.tls_certificate_file", "needs server.tls_key_file");
  if (key && !certificate) check.fail("server.tls_key_file", "needs server.tls_certificate_file");
}

// A key is sent as a word of a header.
void check_admin_key(const Config& config, const Checker& check) {
  const std::string& key = config.server.admin_key;
  const auto word = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!key.empty() && (key.size() < kAdminKeyMin || key.size() > kAdminKeyMax ||
                       !std::all_of(key.begin(), key.end(), word)))
    check.fail("server.admin_key",
               fmt::format("must be {} to {} printable ASCII characters without spaces",
                           kAdminKeyMin, kAdminKeyMax));
}

// The dispatcher keeps the last of it, a second at most, for handing its shards over.
void warn_of_drain(const Config& config, const Checker& check, std::vector<std::string>& warnings) {
  const Millis rest = std::min(config.drain_timeout / 4, Millis{1'000});
  if (!config.has_role("dispatcher") || config.drain_timeout - rest >= config.webhook.timeout)
    return;
  warnings.push_back(fmt::format(
      "{} is too short for {}: a webhook in the air at SIGTERM may be cut off; at least "
      "once it is sent again, at most once its outcome is unknown",
      check.quote("drain_timeout_ms"), check.quote("webhook.timeout_ms")));
}

void warn(const Config& config, const std::map<std::string, std::string>& origins,
          const Checker& check, std::vector<std::string>& warnings) {
  const DatabaseConfig& database = config.database;
  if (database.url.empty() && !config.embedded.enabled &&
      database.password == DatabaseConfig{}.password)
    warnings.push_back("the database password is the default, \"changeme\"; set DB_PASSWORD");
  for (const auto* part : {"database.host", "database.port", "database.name", "database.user"})
    if (!database.url.empty() && origins.contains(part))
      warnings.push_back(fmt::format("{} has no effect: {} names the database", check.quote(part),
                                     origins.at("database.url")));
  const auto small = [&](std::string_view name, int value, int usual) {
    if (value < kSmallBatch)
      warnings.push_back(fmt::format("{} is small and makes the hub slow; the default is {}",
                                     check.quote(name), usual));
  };
  small("fanout.batch_rows_max", config.fanout.batch_rows_max, FanoutConfig{}.batch_rows_max);
  small("dispatcher.window_events", config.dispatcher.window_events,
        DispatcherConfig{}.window_events);
  warn_of_drain(config, check, warnings);
}

}  // namespace

int connections_needed(const Config& config) {
  int needed = 4;  // listener, notifier, two pooled ones
  if (config.has_role("api")) needed += 2;
  if (config.has_role("fanout")) needed += 2;
  if (config.has_role("dispatcher")) needed += 3;
  if (config.has_role("cleanup")) needed += 1;
  return needed;
}

void check_config(const Config& config, const std::map<std::string, std::string>& origins,
                  const std::vector<ConfigCheck>& checks, std::vector<std::string>& warnings) {
  const Checker check(config, origins);
  check_roles(config, check);
  check_sizes(config, check);
  check_times(config, check);
  check_database(config, check);
  check_ports(config, check);
  check_admin_key(config, check);
  check_tls(config, check);
  for (const ConfigCheck& one : checks) {
    const std::string wrong = one.wrong(config);
    if (!wrong.empty()) check.fail(one.option, wrong);
  }
  warn(config, origins, check, warnings);
}

}  // namespace eventhub
