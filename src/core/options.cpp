// The option table: one row per setting, with its name, variable, place in Config, range and
// meaning. Defaults are those of the structs in config.hpp. Everything about options is generated
// from here; after a change run `EVENTHUB_UPDATE=1 unit_core "[generated]"` to write
// config/eventhub.toml and docs/configuration.md.
#include "core/options.hpp"

#include <algorithm>

namespace eventhub {
namespace {

constexpr std::int64_t kHour = 3'600'000;   // in ms
constexpr std::int64_t kYear = 31'536'000;  // in s
constexpr std::int64_t kTera = std::int64_t{1} << 40;
// What other times of the hub ask of these options, in ms.
constexpr std::int64_t kHeartbeatMax = 2'000;    // dispatchers count each other for 5 s
constexpr std::int64_t kIdleSessionMin = 2'500;  // cleanup speaks every two seconds
constexpr std::int64_t kMarginMin = 50;          // a webhook's time-out may act 20 ms late
constexpr std::int64_t kKiB = 1 << 10;
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kGiB = 1 << 30;

template <auto Member>
Slot top(Config& config) {
  return &(config.*Member);
}

template <auto Section, auto Member>
Slot in(Config& config) {
  return &((config.*Section).*Member);
}

using C = Config;

void add_process(std::vector<Option>& table) {
  table.push_back(
      {"roles", "", top<&C::roles>, 0, 0,
       "What this process does: any of api, fanout, dispatcher, cleanup. Every role serves "
       "health and metrics."});
  table.push_back({"worker_id", "WORKER_ID", top<&C::worker_id>, 0, 0,
                   "Name of this process in logs and in the table nodes.", false, "host:pid"});
  table.push_back(
      {"poll_interval_ms", "POLL_INTERVAL_MS", top<&C::poll_interval>, 1, 60'000,
       "Ceiling of the adaptive polls, in milliseconds: the longest a process that missed "
       "a notification looks away; a second when there was nothing for ten."});
  table.push_back({"drain_timeout_ms", "", top<&C::drain_timeout>, 0, kHour,
                   "How long after SIGTERM what is in flight may take, in milliseconds."});
  table.push_back({"core_dumps", "", top<&C::core_dumps>, 0, 0,
                   "A crash may leave a core file, which holds secrets and payloads."});
  table.push_back(
      {"metrics_label_values_max", "", top<&C::metrics_label_values_max>, 0, 100'000,
       "How many event types and subscribers have metrics of their own; the rest count as "
       "`other`."});
}

void add_server(std::vector<Option>& table) {
  constexpr auto S = &C::server;
  using T = ServerConfig;
  table.push_back(
      {"server.bind", "", in<S, &T::bind>, 0, 0,
       "Address to listen on: 0.0.0.0 or :: for every one; or unix:/path of a Unix socket. "
       "Others than this machine's own need an API key or server.insecure."});
  table.push_back({"server.port", "PORT", in<S, &T::port>, 0, 65'535,
                   "Port of the API, health and metrics. 0: the system chooses one."});
  table.push_back({"server.metrics_port", "", in<S, &T::metrics_port>, 0, 65'535,
                   "A second port with nothing but /health, /livez, /readyz and /metrics, for "
                   "networks that shall not reach the API. 0: none."});
  table.push_back({"server.metrics_bind", "", in<S, &T::metrics_bind>, 0, 0,
                   "Address to listen on with metrics_port."});
  table.push_back({"server.management_on_metrics_port", "", in<S, &T::management_on_metrics_port>,
                   0, 0,
                   "Management (everything that asks for the scopes read and admin) is served on "
                   "metrics_port and no longer on port."});
  table.push_back({"server.connections_max", "", in<S, &T::connections_max>, 1, 1'000'000,
                   "Open HTTP connections; more are refused."});
  table.push_back({"server.connections_per_ip_max", "", in<S, &T::connections_per_ip_max>, 1,
                   1'000'000, "Open HTTP connections of one client address."});
  table.push_back({"server.body_bytes_max", "", in<S, &T::body_bytes_max>, kKiB, kGiB,
                   "Largest request body, in bytes; larger ones are answered 413."});
  table.push_back({"server.header_bytes_max", "", in<S, &T::header_bytes_max>, kKiB, kMiB,
                   "Largest request header, in bytes; larger ones are answered 431."});
  table.push_back(
      {"server.bodies_in_flight_bytes_max", "", in<S, &T::bodies_in_flight_bytes_max>, kKiB,
       1024 * kGiB,
       "Request bodies in memory, all connections together, in bytes; one address has a quarter of "
       "it, and at least one body; beyond it requests are answered 503."});
  table.push_back({"server.header_timeout_ms", "", in<S, &T::header_timeout>, 1, kHour,
                   "A request's header must be complete after so many milliseconds."});
  table.push_back({"server.body_timeout_ms", "", in<S, &T::body_timeout>, 1, kHour,
                   "A request's body must be complete after so many milliseconds."});
  table.push_back({"server.body_rate_min", "", in<S, &T::body_rate_min>, 0, kGiB,
                   "A body that comes slower than so many bytes per second is answered 408. 0: no "
                   "minimum."});
  table.push_back({"server.body_rate_after_ms", "", in<S, &T::body_rate_after>, 0, kHour,
                   "The first so many milliseconds of a body do not count for body_rate_min."});
  table.push_back({"server.idle_timeout_ms", "", in<S, &T::idle_timeout>, 1, kHour,
                   "A kept connection without a request is closed after so many milliseconds."});
}

void add_access(std::vector<Option>& table) {
  constexpr auto S = &C::server;
  using T = ServerConfig;
  table.push_back({"server.admin_key", "EVENTHUB_ADMIN_KEY", in<S, &T::admin_key>, 0, 0,
                   "An API key with the scope admin, for the first steps and for containers; at "
                   "least 32 characters. Others are made with eventhubd keys create.",
                   true, "none"});
  table.push_back({"server.tls_certificate_file", "", in<S, &T::tls_certificate_file>, 0, 0,
                   "PEM file with the certificate of the hub's ports, and those that lead to its "
                   "authority: they speak TLS (1.2 and newer) and nothing else. A new file is "
                   "taken without a restart.",
                   false, "none: plain HTTP"});
  table.push_back({"server.tls_key_file", "", in<S, &T::tls_key_file>, 0, 0,
                   "PEM file with its private key, without a password.", false, "none"});
  table.push_back({"server.insecure", "", in<S, &T::insecure>, 0, 0,
                   "Let everybody publish and manage while there is no API key, on any address "
                   "(--insecure)."});
}

void add_database_place(std::vector<Option>& table) {
  constexpr auto S = &C::database;
  using T = DatabaseConfig;
  table.push_back(
      {"database.url", "DATABASE_URL", in<S, &T::url>, 0, 0,
       "Connection URI (postgresql://user:password@host:port/name?...). Wins over host, "
       "port, name, user and password.",
       true, "made of the parts below"});
  table.push_back({"database.host", "DB_HOST", in<S, &T::host>, 0, 0,
                   "PostgreSQL's host, or the directory of its socket."});
  table.push_back({"database.port", "DB_PORT", in<S, &T::port>, 1, 65'535, "PostgreSQL's port."});
  table.push_back({"database.name", "DB_NAME", in<S, &T::name>, 0, 0, "Name of the database."});
  table.push_back({"database.user", "DB_USER", in<S, &T::user>, 0, 0, "Role to connect as."});
  table.push_back({"database.password", "DB_PASSWORD", in<S, &T::password>, 0, 0,
                   "Its password. The default makes a warning at start.", true, "none"});
  table.push_back({"database.schema", "", in<S, &T::schema>, 0, 0,
                   "Schema that holds every table of the hub."});
}

void add_database_use(std::vector<Option>& table) {
  constexpr auto S = &C::database;
  using T = DatabaseConfig;
  table.push_back({"database.connections_max", "DB_MAX_CONNECTIONS", in<S, &T::connections_max>, 1,
                   10'000,
                   "Connections of this process to PostgreSQL. Fewer than its roles need stops the "
                   "start: api 2, fanout 2, dispatcher 3, cleanup 1, and 4 for every process."});
  table.push_back(
      {"database.connect_timeout_ms", "", in<S, &T::connect_timeout>, 1, kHour,
       "Limit for making a connection and for waiting for a free one, in milliseconds."});
  table.push_back({"database.statement_timeout_ms", "", in<S, &T::statement_timeout>, 1, kHour,
                   "Limit for one statement, in milliseconds."});
  table.push_back({"database.lock_timeout_ms", "", in<S, &T::lock_timeout>, 1, kHour,
                   "Limit for waiting for a lock, in milliseconds; an event that waits longer is "
                   "answered 503."});
  table.push_back({"database.migrate", "", in<S, &T::migrate>, 0, 0,
                   "Bring the schema up to date at start. false: refuse to start when it is not."});
  table.push_back({"database.allow_unsafe_durability", "", in<S, &T::allow_unsafe_durability>, 0, 0,
                   "Start although PostgreSQL may lose accepted events when its machine crashes "
                   "(fsync = off), for a database of tests. false: refuse."});
}

void add_embedded(std::vector<Option>& table) {
  constexpr auto S = &C::embedded;
  using T = EmbeddedConfig;
  table.push_back({"embedded.enabled", "", in<S, &T::enabled>, 0, 0,
                   "Start a private PostgreSQL instead of connecting to one."});
  table.push_back({"embedded.data_dir", "", in<S, &T::data_dir>, 0, 0, "Where it keeps its data.",
                   false, "$XDG_DATA_HOME/eventhub, else ~/.local/share/eventhub"});
  table.push_back({"embedded.bin_dir", "", in<S, &T::bin_dir>, 0, 0,
                   "Directory of initdb and postgres.", false,
                   "the newest of /usr/lib/postgresql/*/bin"});
  table.push_back({"embedded.run_as", "", in<S, &T::run_as>, 0, 0,
                   "User the private PostgreSQL runs as when eventhubd is started by root."});
}

void add_ingest_and_fanout(std::vector<Option>& table) {
  constexpr auto S = &C::ingest;
  using T = IngestConfig;
  table.push_back({"ingest.batch_rows_max", "", in<S, &T::batch_rows_max>, 1, 10'000,
                   "Most events that share one commit."});
  table.push_back({"ingest.batch_bytes_max", "", in<S, &T::batch_bytes_max>, kKiB, kGiB,
                   "Most bytes of payload that share one commit."});
  table.push_back({"ingest.queue_bytes_max", "", in<S, &T::queue_bytes_max>, kKiB, 1024 * kGiB,
                   "Events that wait for their commit, in bytes; beyond it requests are answered "
                   "503."});
  table.push_back({"ingest.linger_ms", "", in<S, &T::linger>, 0, 100,
                   "While a thousand events a second or more come, a commit begins so many "
                   "milliseconds after the one before, so that more share it. 0: at once."});
  table.push_back({"ingest.request_events_max", "", in<S, &T::request_events_max>, 1, 10'000,
                   "Most events in one POST /events/batch; more are answered 413. They share one "
                   "commit, beyond batch_rows_max and batch_bytes_max if need be."});
  table.push_back({"ingest.idempotency_ttl_seconds", "", in<S, &T::idempotency_ttl>, 1, kYear,
                   "How long an idempotency key is remembered, in seconds, at least."});
  table.push_back({"ingest.deliver_after_max_seconds", "", in<S, &T::deliver_after_max>, 0,
                   100 * kYear,
                   "How far ahead deliver_after may be, in seconds; later is answered 400."});
  table.push_back({"ingest.disk_free_min_bytes", "", in<S, &T::disk_free_min_bytes>, 0, kTera,
                   "Events are refused with 503 while PostgreSQL's disk has less than that free; "
                   "known of a server on this machine that is reached by its Unix socket, by a "
                   "role with pg_read_all_settings. 0: not looked at."});
  table.push_back({"ingest.database_bytes_max", "", in<S, &T::database_bytes_max>, 0, 1024 * kTera,
                   "Events are refused with 503 while the database is larger. 0: no limit."});
  table.push_back({"ingest.json_depth_max", "", in<S, &T::json_depth_max>, 1, 1'000,
                   "Deepest nesting of a JSON body."});
  table.push_back(
      {"fanout.batch_rows_max", "BATCH_SIZE", in<&C::fanout, &FanoutConfig::batch_rows_max>, 1,
       100'000,
       "Events per read of the fan-out. BATCH_SIZE sets dispatcher.window_events, too. Under 100 "
       "it works, with a warning: it only makes the hub slower."});
}

void add_dispatcher_limits(std::vector<Option>& table) {
  constexpr auto S = &C::dispatcher;
  using T = DispatcherConfig;
  table.push_back({"dispatcher.window_events", "", in<S, &T::window_events>, 1, 100'000,
                   "Events per read of the messages to send. Without a variable of its own "
                   "BATCH_SIZE sets it.",
                   false, "", "BATCH_SIZE"});
  table.push_back(
      {"dispatcher.in_flight_max", "", in<S, &T::in_flight_max>, 1, 100'000,
       "Webhooks in the air at one time, all subscribers of this process. No subscriber "
       "takes more than are left for the others, and of the last eighth more than one."});
  table.push_back({"dispatcher.in_flight_bytes_max", "", in<S, &T::in_flight_bytes_max>, kKiB,
                   1024 * kGiB,
                   "Payloads of webhooks in the air, in bytes; no more are read until some end."});
  table.push_back({"dispatcher.queue_rows_max", "", in<S, &T::queue_rows_max>, 10, 50'000'000,
                   "Open messages in memory; the longest queues beyond it are parked in the "
                   "database."});
  table.push_back({"dispatcher.payload_cache_bytes_max", "", in<S, &T::payload_cache_bytes_max>,
                   kKiB, 1024 * kGiB, "Payloads in memory, in bytes."});
  table.push_back({"dispatcher.result_rows_max", "", in<S, &T::result_rows_max>, 1, 10'000,
                   "Most results that share one commit."});
  table.push_back({"dispatcher.result_linger_ms", "", in<S, &T::result_linger>, 0, 1'000,
                   "The success of an at-least-once message may wait so many milliseconds for "
                   "others to share its commit, while no message of its key waits for it; after a "
                   "crash within them it is delivered again. 0: never waits."});
  table.push_back(
      {"dispatcher.park_after_ms", "", in<S, &T::park_after>, 10, 24 * kHour,
       "A message that has waited so many milliseconds for a reason moves from memory to "
       "the table parked."});
}

void add_dispatcher_ownership(std::vector<Option>& table) {
  constexpr auto S = &C::dispatcher;
  using T = DispatcherConfig;
  table.push_back({"dispatcher.heartbeat_ms", "", in<S, &T::heartbeat>, 10, kHeartbeatMax,
                   "A dispatcher proves every so many milliseconds, by a commit, that it owns its "
                   "shards."});
  table.push_back(
      {"dispatcher.send_lease_ms", "", in<S, &T::send_lease>, 20, 600'000,
       "No attempt starts later than so many milliseconds after the last heartbeat. More "
       "than twice heartbeat_ms."});
  table.push_back({"dispatcher.idle_session_timeout_ms", "", in<S, &T::idle_session_timeout>,
                   kIdleSessionMin, kHour,
                   "PostgreSQL itself drops the session of a frozen dispatcher after so many "
                   "milliseconds. More than send_lease_ms."});
  table.push_back({"dispatcher.dead_node_after_ms", "", in<S, &T::dead_node_after>, 20, kHour,
                   "Others end the session of a process silent for so many milliseconds. Not less "
                   "than idle_session_timeout_ms."});
  table.push_back(
      {"dispatcher.takeover_margin_ms", "", in<S, &T::takeover_margin>, kMarginMin, 600'000,
       "Ordered messages of a shard whose owner died wait their time-out, send_lease_ms "
       "and so many milliseconds."});
  table.push_back(
      {"dispatcher.careful_after", "", in<S, &T::careful_after>, 1, 1'000,
       "After so many take-overs of a shard in a row from a dead owner, its messages are "
       "sent one at a time."});
}

void add_webhook(std::vector<Option>& table) {
  constexpr auto S = &C::webhook;
  using T = WebhookConfig;
  table.push_back(
      {"webhook.timeout_ms", "WEBHOOK_TIMEOUT_MS", in<S, &T::timeout>, 1, 60'000,
       "Limit for one attempt, in milliseconds: DNS, connect, TLS, request and the answer's "
       "header. A subscriber can have its own."});
  table.push_back({"webhook.timeout_max_ms", "", in<S, &T::timeout_max>, 1, 60'000,
                   "Ceiling of the time-outs of subscribers, in milliseconds."});
  table.push_back({"webhook.idle_ms", "", in<S, &T::idle>, 0, kHour,
                   "A kept connection to a receiver is closed after so many milliseconds without a "
                   "request."});
  table.push_back({"webhook.connections_per_origin_max", "", in<S, &T::connections_per_origin_max>,
                   1, 65'535, "Connections to one receiver (scheme, host and port)."});
  table.push_back({"webhook.response_bytes_max", "", in<S, &T::response_bytes_max>, kKiB, 64 * kMiB,
                   "So many bytes of an answer are read, then the connection is closed."});
  table.push_back({"webhook.retry_after_max_ms", "", in<S, &T::retry_after_max>, 0, 24 * kHour,
                   "Longest wait a receiver can ask for with Retry-After, in milliseconds."});
  table.push_back(
      {"webhook.circuit_hold_max_ms", "", in<S, &T::circuit_hold_max>, 0, 24 * kHour,
       "A circuit that has been open for so many milliseconds is closed, although nothing was "
       "delivered: the messages held by it are tried as if there were none."});
  table.push_back(
      {"webhook.pause_after_failing_seconds", "", in<S, &T::pause_after_failing>, 0, kYear,
       "A subscriber with nothing but failures for so many seconds is paused. 0: never."});
  table.push_back({"webhook.dns_timeout_ms", "", in<S, &T::dns_timeout>, 1, 60'000,
                   "Limit for resolving a name, in milliseconds."});
  table.push_back({"webhook.dns_servers", "", in<S, &T::dns_servers>, 0, 0,
                   "Name servers that resolve the hosts of webhooks, like "
                   "10.0.0.2,10.0.0.3:5353,[fd00::2]:5353.",
                   false, "those of the system"});
}

void add_egress(std::vector<Option>& table) {
  constexpr auto S = &C::egress;
  using T = EgressConfig;
  table.push_back({"egress.allow_cidrs", "", in<S, &T::allow_cidrs>, 0, 0,
                   "Private address ranges that webhooks may reach all the same, like 10.1.0.0/16. "
                   "Global addresses always may."});
  table.push_back({"egress.allow_hosts", "", in<S, &T::allow_hosts>, 0, 0,
                   "Names of hosts that webhooks may reach at any address, private ones included. "
                   "Whoever answers for the name decides where they go."});
  table.push_back({"egress.allow_ports", "", in<S, &T::allow_ports>, 0, 0,
                   "The only ports that webhooks may call, like 443. None named: any."});
  table.push_back(
      {"egress.https_only", "", in<S, &T::https_only>, 0, 0, "Refuse http:// webhooks."});
  table.push_back({"egress.allow_self", "", in<S, &T::allow_self>, 0, 0,
                   "Let webhooks call the port that this process listens on itself: an event that "
                   "makes events."});
  table.push_back({"egress.ca_file", "", in<S, &T::ca_file>, 0, 0,
                   "PEM file of certificate authorities to trust besides the system's.", false,
                   "none"});
}

void add_secrets(std::vector<Option>& table) {
  table.push_back(
      {"secrets.master_key", "", in<&C::secrets, &SecretsConfig::master_key>, 0, 0,
       "Key that webhook secrets and headers of subscribers are encrypted with in the database: 64 "
       "hexadecimal digits. Several, separated by commas: the first one encrypts, all of them "
       "decrypt.",
       true, "none: they are kept in clear"});
}

void add_cleanup(std::vector<Option>& table) {
  constexpr auto S = &C::cleanup;
  using T = CleanupConfig;
  table.push_back({"cleanup.interval_ms", "CHECK_INTERVAL_MS", in<S, &T::interval>, 10, kHour,
                   "Pause between two rounds of house-keeping, in milliseconds."});
  table.push_back({"cleanup.retention_seconds", "", in<S, &T::retention>, 1, 100 * kYear,
                   "How long events, messages and attempts are kept, in seconds."});
  table.push_back({"cleanup.dlq_retention_seconds", "", in<S, &T::dlq_retention>, 1, 100 * kYear,
                   "How long dead letters are kept, in seconds."});
  table.push_back({"cleanup.partition_rows", "", in<S, &T::partition_rows>, 10, 1'000'000'000,
                   "Events per partition. Fixed when the schema is made."});
  table.push_back({"cleanup.partitions_max", "", in<S, &T::partitions_max>, 2, 1'000,
                   "Most partitions per table; a warning beyond it."});
  table.push_back(
      {"cleanup.dlq_copy_max", "", in<S, &T::dlq_copy_max>, 0, 10'000'000,
       "When more messages of one subscriber expire at once, one dead letter stands for "
       "all of them."});
}

void add_log(std::vector<Option>& table) {
  constexpr auto S = &C::log;
  using T = LogConfig;
  table.push_back(
      {"log.level", "", in<S, &T::level>, 0, 0, "Least severe lines that are written."});
  table.push_back({"log.format", "", in<S, &T::format>, 0, 0,
                   "Lines for people or JSON, one object per line, on standard output."});
  table.push_back(
      {"log.buffer_bytes_max", "", in<S, &T::buffer_bytes_max>, 16 * kKiB, kGiB,
       "Lines in memory while the reader of standard output is slow, in bytes; beyond it "
       "lines are dropped and counted."});
}

std::vector<Option> make_table() {
  std::vector<Option> table;
  for (auto* add :
       {add_process, add_server, add_access, add_database_place, add_database_use, add_embedded,
        add_ingest_and_fanout, add_dispatcher_limits, add_dispatcher_ownership, add_webhook,
        add_egress, add_secrets, add_cleanup, add_log})
    add(table);
  for (Option& option : table) {
    if (!option.env.empty()) continue;
    option.env = "EVENTHUB_" + option.name;
    std::transform(option.env.begin(), option.env.end(), option.env.begin(), [](char c) {
      return c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
  }
  return table;
}

}  // namespace

const std::vector<Option>& options() {
  static const std::vector<Option> table = make_table();
  return table;
}

}  // namespace eventhub
