// What the hub makes of a server's settings, session and clock.
#include "store/server_check.hpp"

#include <algorithm>

#include "support/catch.hpp"

using namespace eventhub;
using namespace eventhub::store;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const DatabaseConfig strict;

DatabaseConfig lenient() {
  DatabaseConfig config;
  config.allow_unsafe_durability = true;
  return config;
}

ServerFacts good() {
  ServerFacts facts;
  facts.version = 150'020;
  facts.statement_timeout = strict.statement_timeout;
  facts.round_trip = 300us;
  return facts;
}

std::vector<std::string> settings(const ServerFacts& facts) {
  std::vector<std::string> names;
  for (const Weakness& one : weaknesses(facts, strict)) names.push_back(one.setting);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a server as it should be has no weakness") {
  CHECK(settings(good()) == Names{});
  CHECK(refusal({}, strict).empty());
  CHECK(durability_lost({}).empty());
}

TEST_CASE("a server that does not flush is refused, unless that is allowed") {
  ServerFacts facts = good();
  facts.fsync = "off";
  const auto found = weaknesses(facts, strict);
  CHECK(settings(facts) == Names{"fsync"});
  CHECK_THAT(refusal(found, strict), Contains("fsync of the database is off") &&
                                         Contains("database.allow_unsafe_durability = true") &&
                                         Contains("EVENTHUB_DATABASE_ALLOW_UNSAFE_DURABILITY"));
  CHECK(refusal(found, lenient()).empty());
  CHECK(durability_lost(found) == "fsync is off");
}

TEST_CASE("full_page_writes = off is told and stops nothing: a file system may make it right") {
  ServerFacts facts = good();
  facts.full_page_writes = "off";
  const auto found = weaknesses(facts, strict);
  CHECK(refusal(found, strict).empty());
  CHECK(durability_lost(found) == "full_page_writes is off");
}

TEST_CASE("a session that commits before it is safe is refused, unless that is allowed") {
  for (const char* value : {"off", "local", "remote_write"}) {
    ServerFacts facts = good();
    facts.synchronous_commit = value;
    const auto found = weaknesses(facts, strict);
    CHECK(settings(facts) == Names{"synchronous_commit"});
    CHECK_THAT(refusal(found, strict), Contains("allow_unsafe_durability"));
    CHECK(refusal(found, lenient()).empty());
  }
}

TEST_CASE("a session without its time-outs is refused, whatever is allowed") {
  ServerFacts facts = good();
  facts.statement_timeout = 0ms;
  const auto found = weaknesses(facts, lenient());
  CHECK(settings(facts) == Names{"statement_timeout"});
  CHECK_THAT(refusal(found, lenient()),
             Contains("10000 ms") && Contains("PgBouncer") && !Contains("allow_unsafe_durability"));
  CHECK(durability_lost(found).empty());
}

TEST_CASE("a server that is too old is refused") {
  ServerFacts facts = good();
  facts.version = 130'012;
  CHECK_THAT(refusal(weaknesses(facts, lenient()), lenient()),
             Contains("server_version of the database is 13") && Contains("14 or newer"));
  facts.version = 140'000;
  CHECK(settings(facts) == Names{});
}

TEST_CASE("clocks that differ by more than the round trip explains are told") {
  struct Case {
    Micros difference, round_trip;
    bool told;
  };
  const std::vector<Case> cases{{0us, 300us, false},     {900ms, 1ms, false},
                                {1'200ms, 1ms, true},    {-1'200ms, 1ms, true},
                                {1'200ms, 500ms, false}, {-90s, 2s, true}};
  for (const Case& one : cases) {
    ServerFacts facts = good();
    facts.clock_difference = one.difference;
    facts.round_trip = one.round_trip;
    INFO(one.difference.count() << " within " << one.round_trip.count());
    CHECK(settings(facts) == (one.told ? Names{"clock"} : Names{}));
    CHECK(refusal(weaknesses(facts, strict), strict).empty());
    CHECK(durability_lost(weaknesses(facts, strict)).empty());
  }
  ServerFacts facts = good();
  facts.clock_difference = -90s;
  CHECK(weaknesses(facts, strict).at(0).value == "-90.0 s");
}

TEST_CASE("several faults are told together") {
  ServerFacts facts = good();
  facts.fsync = facts.full_page_writes = "off";
  facts.statement_timeout = 0ms;
  const auto found = weaknesses(facts, strict);
  CHECK_THAT(refusal(found, strict), Contains("fsync of") && Contains("; statement_timeout of"));
  CHECK(durability_lost(found) == "fsync is off, full_page_writes is off");
}

TEST_CASE("every setting that is judged has a metric") {
  ServerFacts facts;
  facts.version = 1;
  facts.fsync = facts.full_page_writes = facts.synchronous_commit = "off";
  const Names& judged = judged_settings();
  const auto found = weaknesses(facts, strict);
  CHECK(found.size() == judged.size());
  for (const Weakness& one : found) {
    CHECK(std::find(judged.begin(), judged.end(), one.setting) != judged.end());
  }
}
