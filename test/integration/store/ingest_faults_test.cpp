// Accepting events while the database goes away: nothing accepted is lost, nothing refused is
// stored.
#include <set>

#include "ingest_fixture.hpp"

namespace eventhub {
namespace {

using store::AcceptError;
using test::event_of;
using test::IngestFixture;

struct Outcome {
  std::set<std::string> accepted, unavailable, unknown;
  bool stop = false;
  int running = 0;
};

Task<void> produce(store::Ingest& ingest, std::string name, Outcome* outcome) {
  ++outcome->running;
  for (int i = 0; !outcome->stop; ++i) {
    const std::string payload = "[\"" + name + "-" + std::to_string(i) + "\"]";
    const auto result = co_await ingest.accept(event_of(payload), {});
    const auto* error = std::get_if<AcceptError>(&result);
    if (error == nullptr) {
      outcome->accepted.insert(payload);
    } else if (*error == AcceptError::unknown_outcome) {
      outcome->unknown.insert(payload);
    } else {
      outcome->unavailable.insert(payload);
      co_await sleep_for(Millis{10});
    }
  }
  --outcome->running;
}

std::multiset<std::string> stored(IngestFixture& hub) {
  std::istringstream lines(hub.db.query("SELECT payload FROM events"));
  std::multiset<std::string> found;
  for (std::string line; std::getline(lines, line);) found.insert(line);
  return found;
}

void check(const Outcome& outcome, const std::multiset<std::string>& found) {
  for (const auto& payload : outcome.accepted) REQUIRE(found.count(payload) == 1);
  for (const auto& payload : outcome.unavailable) REQUIRE(found.count(payload) == 0);
  for (const auto& payload : outcome.unknown) REQUIRE(found.count(payload) <= 1);
  for (const auto& payload : found) {
    REQUIRE(outcome.accepted.count(payload) + outcome.unknown.count(payload) == 1);
  }
}

TEST_CASE("killed sessions: accepted is stored once, unavailable is not stored, and it goes on") {
  Outcome outcome;
  IngestFixture hub;
  auto& ingest = hub.started();
  for (int i = 0; i < 32; ++i) {
    spawn(test::executor_of(hub.io), "produce", produce(ingest, std::to_string(i), &outcome));
  }
  for (int kill = 0; kill < 15; ++kill) {
    hub.wait(Millis{40 + kill * 7});
    const std::size_t before = outcome.accepted.size();
    hub.db.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    hub.until([&] { return outcome.accepted.size() > before + 50; });
  }
  outcome.stop = true;
  hub.until([&] { return outcome.running == 0; });
  CHECK(outcome.accepted.size() > 1'000);
  check(outcome, stored(hub));
}

TEST_CASE("a session killed while idle costs nobody an error") {
  IngestFixture hub;
  auto& ingest = hub.started();
  REQUIRE(hub.accept_one(ingest, event_of("[]"))->accepted());
  for (int i = 0; i < 5; ++i) {
    hub.db.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    hub.wait(Millis{20});
    CHECK(hub.accept_one(ingest, event_of("[]"))->accepted());
  }
}

TEST_CASE(
    "without a server the answer comes within a second or so, then at once, until it is back") {
  Outcome outcome;
  IngestFixture hub;
  auto& ingest = hub.started();
  for (int i = 0; i < 8; ++i) {
    spawn(test::executor_of(hub.io), "produce", produce(ingest, std::to_string(i), &outcome));
  }
  hub.until([&] { return outcome.accepted.size() > 100; });
  auto& server = test::PrivatePostgres::server();
  server.crash();
  const auto down = hub.clock.mono();
  hub.until([&] { return outcome.unavailable.size() + outcome.unknown.size() >= 16; });
  CHECK(hub.clock.mono() - down < Millis{2'500});
  CHECK_FALSE(ingest.connected());
  const auto begun = hub.clock.mono();
  CHECK(hub.accept_one(ingest, event_of("[\"late\"]"))->failed(AcceptError::unavailable));
  CHECK(hub.clock.mono() - begun < Millis{200});
  server.start();
  const std::size_t before = outcome.accepted.size();
  hub.until([&] { return outcome.accepted.size() > before + 100; });
  outcome.stop = true;
  hub.until([&] { return outcome.running == 0; });
  check(outcome, stored(hub));
}

TEST_CASE("a lock that is not free in time is no fault of the event") {
  IngestFixture hub(1'000'000, [](Config& config) { config.database.lock_timeout = Millis{200}; });
  auto& ingest = hub.started();
  REQUIRE(hub.accept_one(ingest, event_of("[]"))->accepted());
  auto other = test::run(hub.io, hub.database.connect(store::Profile::general));
  const std::string lock =
      "BEGIN; SELECT pg_advisory_xact_lock(" + std::to_string(hub.database.lock_space()) + ", 1)";
  test::run(hub.io, other->exec(lock));
  CHECK(hub.accept_one(ingest, event_of("[]"))->failed(AcceptError::unavailable));
  test::run(hub.io, other->exec("ROLLBACK"));
  CHECK(hub.accept_one(ingest, event_of("[]"))->accepted());
  CHECK(hub.db.query("SELECT count(*) FROM events") == "2");
}

TEST_CASE("a silent server does not hold callers for ever") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();  // never started: no connection
  auto request = hub.begin(ingest, event_of("[]"));
  hub.wait(Millis{50});
  CHECK_FALSE(request->result.has_value());
  ingest.stop();
  hub.start(ingest);
  hub.finish({request});
  CHECK(request->failed(AcceptError::unavailable));
}

}  // namespace
}  // namespace eventhub
