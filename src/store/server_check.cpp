// Judges the server a session is connected to: pure, table-tested. Asked by server_watch.cpp.
#include "store/server_check.hpp"

#include <fmt/format.h>

#include "store/migrations_sql.hpp"

namespace eventhub::store {
namespace {

using Kind = Weakness::Kind;
using Found = std::vector<Weakness>;

// What a clock may differ: a fifth of the shortest usual wait for a retry.
constexpr Seconds kClockTolerance{1};

void check_version(const ServerFacts& facts, Found& found) {
  if (facts.version >= kServerVersionMin) return;
  found.push_back({"server_version", std::to_string(facts.version / 10'000),
                   "eventhubd needs PostgreSQL 14 or newer", Kind::session});
}

// A server that is told to forget is believed; a session cannot change these two.
void check_disk(const ServerFacts& facts, Found& found) {
  if (facts.fsync == "off") {
    found.push_back({"fsync", facts.fsync,
                     "accepted events, or the whole database, can be lost when the server's "
                     "machine crashes",
                     Kind::durability});
  }
  if (facts.full_page_writes == "off") {
    found.push_back({"full_page_writes", facts.full_page_writes,
                     "a page that is half written when the server's machine crashes cannot be "
                     "repaired; right only on a file system that never tears one, like ZFS",
                     Kind::told});
  }
}

// These two are what every session of the hub asks for (session.cpp).
void check_session(const ServerFacts& facts, const DatabaseConfig& config, Found& found) {
  if (facts.synchronous_commit != "on") {
    found.push_back({"synchronous_commit", facts.synchronous_commit,
                     "a commit is answered before it is safe, although the session asked for `on`",
                     Kind::durability});
  }
  if (facts.statement_timeout != config.statement_timeout) {
    found.push_back(
        {"statement_timeout", std::to_string(facts.statement_timeout.count()) + " ms",
         fmt::format("the session asked for {} ms: something between eventhubd and PostgreSQL "
                     "drops the settings of sessions, among them the time-outs on which ownership "
                     "stands (PgBouncer: ignore_startup_parameters); connect directly",
                     config.statement_timeout.count()),
         Kind::session});
  }
}

void check_clock(const ServerFacts& facts, Found& found) {
  const auto off = std::chrono::abs(facts.clock_difference) - facts.round_trip / 2;
  if (off <= kClockTolerance) return;
  const double seconds = std::chrono::duration<double>(facts.clock_difference).count();
  found.push_back({"clock", fmt::format("{:+.1f} s", seconds),
                   "the database's clock differs from this machine's: times in the tables, the "
                   "latency to the delivery, and retries that another process takes over are off "
                   "by that; have both set by NTP",
                   Kind::clock});
}

}  // namespace

const std::vector<std::string>& judged_settings() {
  static const std::vector<std::string> names{"fsync", "full_page_writes", "synchronous_commit",
                                              "statement_timeout", "server_version"};
  return names;
}

std::vector<Weakness> weaknesses(const ServerFacts& facts, const DatabaseConfig& config) {
  Found found;
  check_version(facts, found);
  check_disk(facts, found);
  check_session(facts, config, found);
  check_clock(facts, found);
  return found;
}

std::string refusal(const std::vector<Weakness>& found, const DatabaseConfig& config) {
  std::string text;
  bool may_be_allowed = false;
  for (const Weakness& one : found) {
    const bool unsafe = one.kind == Kind::durability && !config.allow_unsafe_durability;
    if (!unsafe && one.kind != Kind::session) continue;
    may_be_allowed = may_be_allowed || unsafe;
    text += fmt::format("{}{} of the database is {}: {}", text.empty() ? "" : "; ", one.setting,
                        one.value, one.harm);
  }
  if (may_be_allowed) {
    text +=
        "; change that on the server, or start all the same with "
        "database.allow_unsafe_durability = true "
        "(EVENTHUB_DATABASE_ALLOW_UNSAFE_DURABILITY=true)";
  }
  return text;
}

std::string durability_lost(const std::vector<Weakness>& found) {
  std::string text;
  for (const Weakness& one : found) {
    if (!one.loses_events()) continue;
    text += fmt::format("{}{} is {}", text.empty() ? "" : ", ", one.setting, one.value);
  }
  return text;
}

}  // namespace eventhub::store
