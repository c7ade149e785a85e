#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/log.hpp"
#include "eventhub/core/time.hpp"

// Every setting, once. The option table in src/core/options.cpp gives each its name, environment
// variable, default, range and meaning; config/eventhub.toml and docs/configuration.md are
// generated from it.
namespace eventhub {

struct ServerConfig {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 3000;
  std::string metrics_bind = "127.0.0.1";
  std::uint16_t metrics_port = 0;           // 0: health and metrics only on `port`
  bool management_on_metrics_port = false;  // and not on `port`
  std::string admin_key;  // EVENTHUB_ADMIN_KEY: a key besides those of the table api_keys
  bool insecure = false;  // serve everybody while there is no key
  std::string tls_certificate_file, tls_key_file;  // PEM; empty: plain HTTP
  int connections_max = 4096;
  int connections_per_ip_max = 256;
  std::int64_t body_bytes_max = 1 << 20;
  std::int64_t header_bytes_max = 16 << 10;
  std::int64_t bodies_in_flight_bytes_max = 128 << 20;
  Millis header_timeout{10'000};
  Millis body_timeout{30'000};
  std::int64_t body_rate_min = 1 << 10;  // bytes per second; 0: no minimum
  Millis body_rate_after{5'000};         // from then on
  Millis idle_timeout{60'000};
};

struct DatabaseConfig {
  std::string url;  // DATABASE_URL; wins over the parts below
  std::string host = "localhost";
  std::uint16_t port = 5432;
  std::string name = "eventhub";
  std::string user = "eventhub";
  std::string password = "changeme";
  std::string schema = "eventhub";
  int connections_max = 20;
  Millis connect_timeout{5'000};
  Millis statement_timeout{10'000};
  Millis lock_timeout{2'000};
  bool migrate = true;                   // apply migrations at start
  bool allow_unsafe_durability = false;  // start although the server may lose what it committed
};

struct EmbeddedConfig {
  bool enabled = false;             // --embedded: a private PostgreSQL of our own
  std::string data_dir;             // default: $XDG_DATA_HOME/eventhub or ~/.local/share/eventhub
  std::string bin_dir;              // default: the newest of /usr/lib/postgresql/*/bin
  std::string run_as = "postgres";  // user to drop to when started as root
};

struct IngestConfig {
  int batch_rows_max = 512;
  std::int64_t batch_bytes_max = 2 << 20;
  std::int64_t queue_bytes_max = 64 << 20;
  Millis linger{2};                // between the beginnings of two commits, while many events come
  int request_events_max = 1'000;  // of POST /events/batch
  Seconds idempotency_ttl{86'400};
  int json_depth_max = 64;
  Seconds deliver_after_max{31'536'000};
  std::int64_t disk_free_min_bytes = 256 << 20;  // of the server's disk, else 503; 0: any
  std::int64_t database_bytes_max = 0;           // beyond it 503; 0: any
};

struct FanoutConfig {
  int batch_rows_max = 1'000;  // BATCH_SIZE, unless it has a name of its own
};

struct DispatcherConfig {
  int window_events = 1'000;  // events per feed read; BATCH_SIZE, too
  int in_flight_max = 1'024;  // webhooks in the air, all subscribers of this process
  std::int64_t in_flight_bytes_max = 256LL << 20;  // payloads of those; more are not read
  int queue_rows_max = 200'000;                    // open messages in memory
  std::int64_t payload_cache_bytes_max = 32 << 20;
  int result_rows_max = 512;  // results per commit
  Millis result_linger{20};   // of successes that nothing waits for: to share a commit
  Millis heartbeat{1'000};
  Millis send_lease{3'000};  // X: no attempt starts later than this after the last heartbeat
  Millis idle_session_timeout{10'000};  // the server drops a frozen owner; must be > send_lease
  Millis dead_node_after{15'000};  // another node ends the session of a node silent for so long
  Millis takeover_margin{1'000};
  Millis park_after{60'000};
  int careful_after = 3;  // unclean take-overs in a row before careful mode
};

struct WebhookConfig {
  Millis timeout{10'000};
  Millis timeout_max{60'000};
  Millis idle{4'000};  // keep-alive connections are closed after this
  int connections_per_origin_max = 1'024;
  std::int64_t response_bytes_max = 64 << 10;
  Millis retry_after_max{3'600'000};
  Millis circuit_hold_max{3'600'000};
  Seconds pause_after_failing{5 * 86'400};  // 0: never
  Millis dns_timeout{5'000};
  std::string dns_servers;  // "10.0.0.2,[fd00::2]:5353"; empty: the system's
};

struct EgressConfig {
  std::vector<std::string> allow_cidrs;  // private ranges that may be called all the same
  std::vector<std::string> allow_hosts;  // names that may have any address
  std::vector<std::string> allow_ports;  // the only ports to call; empty: any
  bool https_only = false;
  bool allow_self = false;  // webhooks to the port this process listens on
  std::string ca_file;      // extra trust anchors, PEM
};

struct SecretsConfig {
  std::string master_key;  // 64 hexadecimal digits each; the first one encrypts, all decrypt
};

struct CleanupConfig {
  Millis interval{10'000};
  Seconds retention{7 * 86'400};
  Seconds dlq_retention{30 * 86'400};
  std::int64_t partition_rows = 2'000'000;  // events per partition, fixed when the schema is made
  int partitions_max = 100;
  int dlq_copy_max = 100'000;  // expired messages of one subscriber copied one by one
};

struct LogConfig {
  log::Level level = log::Level::info;
  log::Format format = log::Format::json;
  std::int64_t buffer_bytes_max = 1 << 20;
};

struct Config {
  std::vector<std::string> roles{"api", "fanout", "dispatcher", "cleanup"};
  ServerConfig server;
  DatabaseConfig database;
  EmbeddedConfig embedded;
  IngestConfig ingest;
  FanoutConfig fanout;
  DispatcherConfig dispatcher;
  WebhookConfig webhook;
  EgressConfig egress;
  SecretsConfig secrets;
  CleanupConfig cleanup;
  LogConfig log;
  Millis poll_interval{100};     // POLL_INTERVAL_MS: ceiling of the adaptive polls
  Millis drain_timeout{15'000};  // SIGTERM: how long what is in flight may take
  bool core_dumps = false;       // a crash may leave one, with secrets and payloads
  int metrics_label_values_max = 100;
  std::string worker_id;  // WORKER_ID: name of this process in logs and `nodes`; default host:pid

  bool has_role(std::string_view role) const;
};

// A setting that stops the start: names the option and where it came from (flag, variable,
// file:line).
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Environment = std::map<std::string, std::string>;

// flag > environment > file > default. `flags` holds --name=value pairs by option name
// ("server.port"); `file` is a path (empty: EVENTHUB_CONFIG, ./config/eventhub.toml,
// /etc/eventhub/eventhub.toml, first found, none is fine). Warnings (default password, small
// BATCH_SIZE) are appended to `warnings`.
Config load_config(const std::map<std::string, std::string>& flags, const Environment& environment,
                   const std::string& file, std::vector<std::string>& warnings);

// How many database connections the roles of `config` need: api 2, fanout 2, dispatcher 3, cleanup
// 1, and 4 for every process (wakeups 2, pool 2). load_config refuses a smaller
// database.connections_max.
int connections_needed(const Config& config);

// Every option with its effective value as TOML, secrets redacted (`eventhubd config`).
std::string print_config(const Config& config);
// config/eventhub.toml and docs/configuration.md, from the table.
std::string default_config_file();
std::string configuration_reference();
// Names of all options, for the command line.
struct OptionInfo {
  std::string name, env, meaning, default_value;
};
std::vector<OptionInfo> option_infos();

}  // namespace eventhub
