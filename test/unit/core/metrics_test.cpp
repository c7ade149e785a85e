// Metrics: the names users were promised, what the verbs do to them, the cap on label values, and
// that the documentation lists exactly what is exposed.
#include "eventhub/core/metrics.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "support/catch.hpp"
#include "support/shell.hpp"

using namespace eventhub;

namespace {

constexpr const char* kAda = "0198c0de-0000-7000-8000-00000000ada0";

// Every verb once.
void use_everything(Metrics& metrics) {
  metrics.event_received("user.created");
  metrics.api_request("POST", "/events", 202, .004);
  metrics.attempt(kAda, Outcome::delivered, "success", .03);
  metrics.attempt(kAda, Outcome::retry, "http_error", .7);
  metrics.attempt(kAda, Outcome::dead, "network_error", 11);
  metrics.attempt(kAda, Outcome::refused, "", 0);
  metrics.delivered_end_to_end(.02);
  metrics.db_statement("accept", .002);
  metrics.batch("ingest", 12);
  metrics.message_fanned_out(3);
  metrics.log_dropped(4);
  metrics.role_success("fanout");
  metrics.internal_error("cleanup");
  metrics.pending(kAda, 5);
  metrics.waiting(WaitReason::retry, 6);
  metrics.dlq_size(7);
  metrics.oldest_pending_age(8);
  metrics.blocked_keys(9);
  metrics.in_flight(10);
  metrics.owned_shards(64);
  metrics.partitions(11);
  metrics.parked(12);
  metrics.database_unsafe("fsync", true);
  metrics.db_connections("idle", 13);
  metrics.queue_bytes("ingest", 14);
  metrics.http_connections(15);
  metrics.circuit(kAda, Circuit::half_open);
}

// Samples by "name{labels}" as exposed.
std::map<std::string, double> samples(const std::string& text) {
  std::map<std::string, double> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto space = line.rfind(' ');
    all[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return all;
}

struct Kind {
  std::string type;
  std::set<std::string> labels;
  bool operator==(const Kind&) const = default;
};
using Kinds = std::map<std::string, Kind>;

std::set<std::string> words(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
    found.insert((*it)[1]);
  return found;
}

Kinds exposed_kinds(const std::string& text) {
  Kinds kinds;
  std::istringstream lines(text);
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream parts(line.substr(7));
      parts >> family >> kinds[family].type;
      // The help line came before and opened the family.
    } else if (line.starts_with("#") || line.find('{') == std::string::npos) {
      continue;
    } else {
      auto labels = words(line, std::regex("[{,]([a-z_]+)=\""));
      labels.erase("le");
      kinds[family].labels = labels;
    }
  }
  return kinds;
}

Kinds documented_kinds() {
  Kinds kinds;
  std::ifstream file(std::string(EVENTHUB_SOURCE_DIR) + "/docs/metrics.md");
  const std::regex row("^\\| `([a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\| .+ \\|$");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_match(line, match, row))
      kinds[match[1]] = {match[2], words(match[3], std::regex("`([a-z_]+)`"))};
  }
  return kinds;
}

}  // namespace

TEST_CASE("verbs count under the promised names", "[metrics]") {
  Metrics metrics(100);
  use_everything(metrics);
  const auto all = samples(metrics.expose());
  const std::string ada = std::string("subscriber_id=\"") + kAda + "\"";
  const std::map<std::string, double> wanted{
      {"eventhub_circuit_state{" + ada + "}", 1},
      {"eventhub_events_received_total{event_type=\"user.created\"}", 1},
      {"eventhub_messages_delivered_total{status=\"success\"," + ada + "}", 1},
      {"eventhub_messages_delivered_total{status=\"http_error\"," + ada + "}", 1},
      {"eventhub_messages_delivered_total{status=\"network_error\"," + ada + "}", 1},
      {"eventhub_delivery_latency_seconds_count{" + ada + "}", 3},
      {"eventhub_delivery_latency_seconds_bucket{" + ada + ",le=\"0.005\"}", 0},
      {"eventhub_delivery_latency_seconds_bucket{" + ada + ",le=\"0.05\"}", 1},
      {"eventhub_delivery_latency_seconds_bucket{" + ada + ",le=\"10\"}", 2},
      {"eventhub_delivery_latency_seconds_bucket{" + ada + ",le=\"+Inf\"}", 3},
      {"eventhub_pending_messages{" + ada + "}", 5},
      {"eventhub_delivery_attempts_total{outcome=\"delivered\"}", 1},
      {"eventhub_delivery_attempts_total{outcome=\"retry\"}", 1},
      {"eventhub_delivery_attempts_total{outcome=\"dead\"}", 1},
      {"eventhub_delivery_attempts_total{outcome=\"refused\"}", 1},
      {"eventhub_end_to_end_latency_seconds_count", 1},
      {"eventhub_api_request_duration_seconds_bucket{method=\"POST\",route=\"/events\","
       "status=\"202\",le=\"0.005\"}",
       1},
      {"eventhub_db_statement_duration_seconds_count{statement=\"accept\"}", 1},
      {"eventhub_db_connections{state=\"idle\"}", 13},
      {"eventhub_batch_rows_sum{queue=\"ingest\"}", 12},
      {"eventhub_queue_bytes{queue=\"ingest\"}", 14},
      {"eventhub_messages_fanned_out_total", 3},
      {"eventhub_log_dropped_lines_total", 4},
      {"eventhub_internal_errors_total{where=\"cleanup\"}", 1},
      {"eventhub_waiting_messages{reason=\"retry\"}", 6},
      {"eventhub_dlq_size", 7},
      {"eventhub_oldest_pending_age_seconds", 8},
      {"eventhub_blocked_keys", 9},
      {"eventhub_in_flight_attempts", 10},
      {"eventhub_owned_shards", 64},
      {"eventhub_partitions", 11},
      {"eventhub_parked_messages", 12},
      {"eventhub_http_connections", 15},
      {"eventhub_build_info{version=\"" EVENTHUB_VERSION "\"}", 1}};
  for (const auto& [name, value] : wanted) {
    INFO(name);
    REQUIRE(all.contains(name));
    CHECK(all.at(name) == value);
  }
  CHECK(all.at("eventhub_role_last_success_timestamp_seconds{role=\"fanout\"}") > 1.7e9);
}

TEST_CASE("labels with a closed set of values are there from the start", "[metrics]") {
  const auto all = samples(Metrics(100).expose());
  for (const auto* outcome :
       {"delivered", "retry", "dead", "started", "unknown", "expired", "cancelled", "refused"})
    CHECK(
        all.contains(std::string("eventhub_delivery_attempts_total{outcome=\"") + outcome + "\"}"));
  for (const auto* reason : {"order", "retry", "paused", "inactive", "circuit", "rate",
                             "in_flight_cap", "takeover", "memory", "scheduled"})
    CHECK(all.contains(std::string("eventhub_waiting_messages{reason=\"") + reason + "\"}"));
  CHECK(all.contains("eventhub_db_connections{state=\"in_use\"}"));
  CHECK(all.contains("eventhub_dlq_size"));
  Metrics metrics(100);
  metrics.pending(kAda, 0);
  const auto later = samples(metrics.expose());
  for (const auto* status : {"success", "http_error", "network_error"})
    CHECK(later.contains(std::string("eventhub_messages_delivered_total{status=\"") + status +
                         "\",subscriber_id=\"" + kAda + "\"}"));
}

TEST_CASE("label values beyond the cap count as other", "[metrics]") {
  Metrics metrics(2);
  for (int i = 0; i < 1000; ++i) metrics.event_received("type" + std::to_string(i));
  metrics.event_received("type0");
  for (int i = 0; i < 5; ++i) {
    metrics.attempt("sub" + std::to_string(i), Outcome::delivered, "success", .1);
    metrics.pending("sub" + std::to_string(i), 10);
  }
  metrics.pending("sub4", 1);
  const auto all = samples(metrics.expose());
  CHECK(all.at("eventhub_events_received_total{event_type=\"type0\"}") == 2);
  CHECK(all.at("eventhub_events_received_total{event_type=\"type1\"}") == 1);
  CHECK(all.at("eventhub_events_received_total{event_type=\"other\"}") == 998);
  CHECK(!all.contains("eventhub_events_received_total{event_type=\"type2\"}"));
  CHECK(all.at("eventhub_messages_delivered_total{status=\"success\",subscriber_id=\"other\"}") ==
        3);
  CHECK(all.at("eventhub_pending_messages{subscriber_id=\"sub1\"}") == 10);
  CHECK(all.at("eventhub_pending_messages{subscriber_id=\"other\"}") == 21);
  metrics.pending("sub4", 0);
  metrics.pending("sub3", 0);
  CHECK(samples(metrics.expose()).at("eventhub_pending_messages{subscriber_id=\"other\"}") == 10);
  for (int i = 0; i < 5000; ++i) metrics.api_request("GET", "/r" + std::to_string(i), 200, 0);
  metrics.api_request("BREW", "/pot", 501, 0);
  CHECK(metrics.expose().size() < 1'000'000);
}

TEST_CASE("an event type named other shares the series of the rest", "[metrics]") {
  Metrics metrics(1);
  metrics.event_received("other");
  metrics.event_received("second");
  CHECK(samples(metrics.expose()).at("eventhub_events_received_total{event_type=\"other\"}") == 2);
}

TEST_CASE("a label value cannot break the format", "[metrics]") {
  Metrics metrics(1);
  metrics.internal_error("a\"b\\c\nd");
  CHECK(metrics.expose().find("eventhub_internal_errors_total{where=\"a\\\"b\\\\c\\nd\"} 1\n") !=
        std::string::npos);
}

TEST_CASE("the process reports its own state", "[metrics]") {
  const Metrics metrics(100);
  const auto all = samples(metrics.expose());
  CHECK(all.at("process_cpu_seconds_total") > 0);
  CHECK(all.at("process_resident_memory_bytes") > 1'000'000);
  CHECK(all.at("process_open_fds") >= 3);
  CHECK(all.at("process_max_fds") >= all.at("process_open_fds"));
  const double age = static_cast<double>(std::time(nullptr)) - all.at("process_start_time_seconds");
  CHECK(age > -2);
  CHECK(age < 3600);
  const int fd = ::dup(1);
  CHECK(samples(metrics.expose()).at("process_open_fds") == all.at("process_open_fds") + 1);
  ::close(fd);
}

TEST_CASE("docs/metrics.md lists every metric with its type and labels", "[metrics]") {
  Metrics metrics(100);
  use_everything(metrics);
  const Kinds exposed = exposed_kinds(metrics.expose());
  const Kinds documented = documented_kinds();
  for (const auto& [name, kind] : exposed) {
    INFO(name << " is exposed");
    REQUIRE(documented.contains(name));
    CHECK(documented.at(name).type == kind.type);
    CHECK(documented.at(name).labels == kind.labels);
  }
  for (const auto& [name, kind] : documented) {
    INFO(name << " is documented");
    CHECK(exposed.contains(name));
  }
}

TEST_CASE("every metric has its name and type before it was used", "[metrics]") {
  const Kinds fresh = exposed_kinds(Metrics(100).expose());
  for (const auto& [name, kind] : documented_kinds()) {
    INFO(name);
    REQUIRE(fresh.contains(name));
    CHECK(fresh.at(name).type == kind.type);
  }
}

TEST_CASE("promtool has nothing to say about it", "[metrics]") {
  if (test::shell("command -v promtool || :").empty()) {
    WARN("promtool is not installed (Debian: apt-get install prometheus); not checked");
    return;
  }
  Metrics metrics(100);
  const bool used = GENERATE(false, true);
  if (used) use_everything(metrics);
  const std::string file = std::string("/tmp/eventhub_metrics_") + std::to_string(::getpid());
  std::ofstream(file) << metrics.expose();
  std::string said;
  CHECK_NOTHROW(said = test::shell("promtool check metrics <" + file));
  ::unlink(file.c_str());
  CHECK(said.empty());
}
