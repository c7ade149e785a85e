// Reads what server_check.cpp judges, and tells: the log, metrics, /health. Used by the hub.
#include "eventhub/store/server_watch.hpp"

#include <algorithm>
#include <stdexcept>

#include "eventhub/core/log.hpp"
#include "store/server_check.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kEvery{10'000};

const pg::Statement kFacts{
    "server_watch",
    "SELECT clock_timestamp(), current_setting('fsync'), current_setting('full_page_writes'),"
    " current_setting('synchronous_commit'),"
    " (SELECT setting::int8 FROM pg_settings WHERE name = 'statement_timeout')"};

// Its clock is taken to have been read in the middle of the round trip.
Task<ServerFacts> read_facts(Context& context) {
  auto connection = co_await context.database.lease();
  const Time asked = context.clock.now();
  const Mono begun = context.clock.mono();
  const pg::Result row = co_await connection->run(kFacts, {});
  ServerFacts facts;
  facts.round_trip =
      std::chrono::duration_cast<std::chrono::microseconds>(context.clock.mono() - begun);
  facts.clock_difference = row.timestamp(0, 0) - (asked + facts.round_trip / 2);
  facts.version = connection->server_version();
  facts.fsync = row.text(0, 1);
  facts.full_page_writes = row.text(0, 2);
  facts.synchronous_commit = row.text(0, 3);
  facts.statement_timeout = Millis{row.i64(0, 4)};
  co_return facts;
}

// Once per setting, until it is well again.
void tell(const std::vector<Weakness>& found, std::set<std::string>& told) {
  std::set<std::string> now;
  for (const Weakness& one : found) {
    now.insert(one.setting);
    if (told.contains(one.setting)) continue;
    const auto level = one.kind == Weakness::Kind::clock ? log::Level::warn : log::Level::error;
    log::write(level, "the database weakens what the hub promises",
               {{"setting", one.setting}, {"value", one.value}, {"harm", one.harm}});
  }
  for (const std::string& setting : told) {
    if (!now.contains(setting))
      log::info("the database is as it should be again", {{"setting", setting}});
  }
  told = std::move(now);
}

void count(const std::vector<Weakness>& found, const ServerFacts& facts, Metrics& metrics) {
  for (const std::string& setting : judged_settings()) {
    const bool weak = std::any_of(found.begin(), found.end(),
                                  [&](const Weakness& one) { return one.setting == setting; });
    metrics.database_unsafe(setting, weak);
  }
  metrics.database_clock_difference(std::chrono::duration<double>(facts.clock_difference).count());
}

}  // namespace

Task<std::string> ServerWatch::look() {
  const ServerFacts facts = co_await read_facts(context_);
  const DatabaseConfig& config = context_.database.config();
  const std::vector<Weakness> found = weaknesses(facts, config);
  tell(found, told_);
  count(found, facts, context_.metrics);
  durability_lost_ = durability_lost(found);
  co_return refusal(found, config);
}

Task<void> ServerWatch::first() {
  const std::string refusal = co_await look();
  if (!refusal.empty()) throw std::runtime_error(refusal);
}

Task<void> ServerWatch::run() {
  while (!stopping_) {
    co_await context_.database.opened().wait(kEvery);
    if (stopping_) break;
    try {
      co_await look();
    } catch (const pg::Error&) {
      // Those whose work it holds up say that the database is away; there is a next time.
    }
  }
}

void ServerWatch::stop() {
  stopping_ = true;
  context_.database.opened().set();
}

}  // namespace eventhub::store
