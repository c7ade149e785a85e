#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace eventhub::app {

// How a path answers.
struct ListenRule {
  int status = 200;
  double fail_share = 0;  // this share of the attempts is answered fail_status instead
  int fail_status = 503;
  int delay_ms = 0;
};

struct ListenOptions {
  std::uint16_t port = 4000;
  std::string host = "127.0.0.1";
  ListenRule rule;
  std::vector<std::string> rules;  // PATH:status=503,share=0.1,delay_ms=50
  std::uint64_t seed = 1;
  std::string secret;       // EVENTHUB_LISTEN_SECRET
  std::string secret_file;  // instead
  std::string log_file;
  bool quiet = false;
};

// Reads one --rule; `base` is what it does not name. Throws ConfigError.
std::pair<std::string, ListenRule> parse_rule(std::string_view text, const ListenRule& base);

// The status of one attempt: the same for the same message, attempt and seed, in every run.
int status_of(const ListenRule& rule, std::string_view message_id, std::string_view attempt,
              std::uint64_t seed);

// The secret in the file, without a line end behind it. Throws ConfigError.
std::string read_secret_file(const std::string& path);

// `eventhubd listen`: receives webhooks until SIGINT or SIGTERM. Exit code.
int listen(const ListenOptions& options);

}  // namespace eventhub::app
