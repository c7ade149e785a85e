// Tells what server_check.cpp says of what server_exam.cpp reads: the log, metrics, /health. Used
// by the hub.
#include "eventhub/store/server_watch.hpp"

#include <algorithm>
#include <stdexcept>

#include "eventhub/core/log.hpp"
#include "store/server_check.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kEvery{10'000};

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
  auto connection = co_await context_.database.lease();
  const ServerFacts facts = co_await read_server_facts(*connection, context_.clock);
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
