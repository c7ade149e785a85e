// What every session is told when it opens; database.cpp connects with it.
#include "store/session.hpp"

#include <string_view>

namespace eventhub::store {
namespace {

using Keywords = std::vector<std::pair<std::string, std::string>>;

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

Keywords target(const DatabaseConfig& config) {
  if (!config.url.empty()) return pg::parse_conninfo(config.url);
  Keywords keywords{{"host", config.host},
                    {"port", std::to_string(config.port)},
                    {"dbname", config.name},
                    {"user", config.user}};
  if (!config.password.empty()) keywords.emplace_back("password", config.password);
  return keywords;
}

// A link that died silently is noticed within about ten seconds.
void add_keywords(Keywords& keywords) {
  const Keywords ours{
      {"application_name", "eventhubd"}, {"client_encoding", "UTF8"},  {"keepalives", "1"},
      {"keepalives_idle", "5"},          {"keepalives_interval", "2"}, {"keepalives_count", "3"},
      {"tcp_user_timeout", "10000"}};
  keywords.insert(keywords.end(), ours.begin(), ours.end());
}

std::string value_of(const Keywords& keywords, std::string_view name) {
  std::string found;
  for (const auto& [key, value] : keywords) {
    if (key == name) found = value;
  }
  return found;
}

}  // namespace

pg::ConnectOptions session_options(const DatabaseConfig& config, Profile profile,
                                   Millis lock_idle_timeout) {
  pg::ConnectOptions out;
  out.keywords = target(config);
  add_keywords(out.keywords);
  out.settings = {{"search_path", quoted(config.schema)},
                  {"statement_timeout", std::to_string(config.statement_timeout.count())},
                  {"lock_timeout", std::to_string(config.lock_timeout.count())},
                  {"idle_in_transaction_session_timeout", "10000"},
                  {"timezone", "UTC"},
                  {"jit", "off"},
                  {"synchronous_commit", "on"},
                  // A snapshot for each statement: what follows a lock has to see what came before.
                  {"default_transaction_isolation", "read committed"}};
  if (profile != Profile::general) {
    const char* bitmapscan = profile == Profile::ingest ? "on" : "off";
    out.settings.insert(out.settings.end(), {{"plan_cache_mode", "force_generic_plan"},
                                             {"enable_seqscan", "off"},
                                             {"enable_bitmapscan", bitmapscan}});
  }
  if (profile == Profile::lock) {
    out.settings.emplace_back("idle_session_timeout", std::to_string(lock_idle_timeout.count()));
  }
  out.connect_timeout = config.connect_timeout;
  // The server gives up first; this is for a server or a link that is gone.
  out.call_timeout = config.statement_timeout + Millis{5'000};
  return out;
}

std::string describe(const pg::ConnectOptions& options) {
  std::string host = value_of(options.keywords, "host");
  std::string port = value_of(options.keywords, "port");
  if (host.empty()) host = value_of(options.keywords, "hostaddr");
  if (host.empty()) host = "the default socket";
  if (port.empty()) port = "5432";
  return "PostgreSQL at " + host + ":" + port + ", database " +
         value_of(options.keywords, "dbname") + ", user " + value_of(options.keywords, "user");
}

}  // namespace eventhub::store
