// Accepting events: what a 202 promises about the database.
#include "eventhub/store/ingest.hpp"

#include <set>

#include "ingest_fixture.hpp"

namespace eventhub {
namespace {

using store::AcceptError;
using test::event_of;
using test::IngestFixture;
using test::number;

TEST_CASE("an accepted event is in the database with every byte") {
  IngestFixture hub;
  auto& ingest = hub.started();
  NewEvent event = event_of("{\"a\" : 1e999,\n \"n\":\"\\u0000 \xF0\x9F\x98\x80\"}", "user-123");
  event.version = "v2";
  event.organization_id = "org-456";
  event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto first = hub.accept_one(ingest, event);
  REQUIRE(first->accepted());
  CHECK_FALSE(first->value().replayed);
  const auto row = [&](const std::string& columns) {
    return hub.db.query("SELECT " + columns + " FROM events WHERE id = '" +
                        to_string(first->value().event_id) + "'");
  };
  CHECK(row("encode(convert_to(payload, 'UTF8'), 'hex')") ==
        hub.db.query("SELECT encode(convert_to(E'{\"a\" : 1e999,\\n \"n\":\"\\\\u0000 "
                     "\\U0001F600\"}', 'UTF8'), 'hex')"));
  CHECK(row("event_type, version, organization_id, user_id, traceparent") ==
        "user.created|v2|org-456|user-123|" + *event.traceparent);
  CHECK(row("created_at > now() - interval '1 minute' AND created_at <= now()") == "t");

  const auto plain = hub.accept_one(ingest, event_of("[]"));
  CHECK(hub.db.query("SELECT coalesce(organization_id, user_id, traceparent) IS NULL FROM events "
                     "WHERE id = '" +
                     to_string(plain->value().event_id) + "'") == "t");
  CHECK(ingest.connected());
}

TEST_CASE("an accepted event wakes the fan-out") {
  IngestFixture hub;
  auto& ingest = hub.started();
  hub.accept_one(ingest, event_of("{}"));
  CHECK(test::run(hub.io, hub.wakeups.of(store::Signal::events).wait(Millis{0})));
}

TEST_CASE("requests that come together share a commit") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();
  std::vector<IngestFixture::RequestPtr> requests;
  for (int i = 0; i < 1'100; ++i) requests.push_back(hub.begin(ingest, event_of("[]")));
  hub.start_on(ingest, requests);
  for (const auto& request : requests) REQUIRE(request->accepted());
  CHECK(hub.db.query("SELECT count(DISTINCT id) FROM events") == "1100");
  CHECK(hub.db.query("SELECT count(DISTINCT xmin::text) FROM events") == "3");
}

TEST_CASE("a batch is bounded in bytes") {
  IngestFixture hub(1'000'000, [](Config& config) { config.ingest.batch_bytes_max = 10'000; });
  auto& ingest = hub.add_ingest();
  std::vector<IngestFixture::RequestPtr> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(hub.begin(ingest, event_of("[\"" + std::string(4'000, 'x') + "\"]")));
  }
  requests.push_back(hub.begin(ingest, event_of("[\"" + std::string(40'000, 'x') + "\"]")));
  hub.start_on(ingest, requests);
  for (const auto& request : requests) REQUIRE(request->accepted());
  CHECK(hub.db.query("SELECT count(DISTINCT xmin::text) FROM events") == "4");
}

TEST_CASE("a full queue refuses instead of growing") {
  IngestFixture hub(1'000'000, [](Config& config) { config.ingest.queue_bytes_max = 20'000; });
  auto& ingest = hub.add_ingest();
  std::vector<IngestFixture::RequestPtr> requests;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(hub.begin(ingest, event_of("[\"" + std::string(4'000, 'x') + "\"]")));
  }
  hub.start_on(ingest, requests);
  const auto overloaded = std::count_if(requests.begin(), requests.end(), [](auto& request) {
    return request->failed(AcceptError::overloaded);
  });
  CHECK(overloaded >= 15);
  CHECK(overloaded <= 17);
  CHECK(number(hub.db.query("SELECT count(*) FROM events")) == 20 - overloaded);
  CHECK(hub.accept_one(ingest, event_of("[]"))->accepted());  // there is room again
}

TEST_CASE("partitions are made when they are missing and ahead of need") {
  IngestFixture hub(100);
  auto& ingest = hub.add_ingest();
  std::vector<IngestFixture::RequestPtr> requests;
  for (int i = 0; i < 1'000; ++i) requests.push_back(hub.begin(ingest, event_of("[]")));
  hub.start_on(ingest, requests);
  for (const auto& request : requests) REQUIRE(request->accepted());
  for (int i = 0; i < 500; ++i) REQUIRE(hub.accept_one(ingest, event_of("[]"))->accepted());
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1500");
  CHECK(hub.db.query("SELECT max(upper) > (SELECT last_value FROM event_seq) FROM partitions") ==
        "t");
}

TEST_CASE("one bad row is refused alone") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();
  std::vector<IngestFixture::RequestPtr> requests;
  for (int i = 0; i < 512; ++i) {
    requests.push_back(hub.begin(ingest, event_of(i == 300 ? "[\"\xFF\"]" : "[]")));
  }
  hub.start_on(ingest, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    INFO(i);
    if (i == 300) {
      CHECK(requests[i]->failed(AcceptError::refused));
    } else {
      CHECK(requests[i]->accepted());
    }
  }
  CHECK(hub.db.query("SELECT count(*) FROM events") == "511");
}

TEST_CASE("stopping finishes what is queued and takes nothing new") {
  IngestFixture hub;
  auto& ingest = hub.started();
  hub.accept_one(ingest, event_of("[]"));
  std::vector<IngestFixture::RequestPtr> requests;
  for (int i = 0; i < 700; ++i) requests.push_back(hub.begin(ingest, event_of("[]")));
  hub.io.poll();
  ingest.stop();
  hub.finish(requests);
  for (const auto& request : requests) REQUIRE(request->accepted());
  CHECK(hub.accept_one(ingest, event_of("[]"))->failed(AcceptError::unavailable));
  hub.until([&] { return hub.running == 0; });
  CHECK(hub.db.query("SELECT count(*) FROM events") == "701");
}

// One producer that waits for each answer.
Task<void> produce(store::Ingest& ingest, std::string user, int events, int* left) {
  for (int i = 0; i < events; ++i) {
    const auto result = co_await ingest.accept(event_of("[" + std::to_string(i) + "]", user), {});
    if (!std::holds_alternative<store::Accepted>(result)) throw std::runtime_error("not accepted");
  }
  --*left;
}

Task<void> stop_after(const int* left, bool* stop) {
  while (*left > 0) co_await sleep_for(Millis{5});
  *stop = true;
}

// Reads as the fan-out does: past a cursor, never back.
Task<void> follow(store::Database& database, std::vector<std::string>* seen, const bool* stop) {
  const pg::Statement read{"follow",
                           "SELECT event_seq, user_id || payload FROM events WHERE event_seq > $1 "
                           "ORDER BY event_seq LIMIT 1000"};
  auto connection = co_await database.connect(store::Profile::hot);
  std::int64_t cursor = 0;
  for (bool last = false; !last;) {
    last = *stop;
    for (bool more = true; more;) {
      pg::Params params;
      params.i64(cursor);
      const pg::Result rows = co_await connection->run(read, std::move(params));
      for (int row = 0; row < rows.rows(); ++row) seen->emplace_back(rows.text(row, 1));
      if (rows.rows() > 0) cursor = rows.i64(rows.rows() - 1, 0);
      more = rows.rows() > 0;
    }
  }
}

TEST_CASE("a reader with a cursor misses nothing of eight writers and sees each producer's order") {
  constexpr int kProducers = 64, kEvents = 100;
  int left = kProducers;
  bool stop = false;
  std::vector<std::string> seen;
  IngestFixture hub(2'000);
  for (int i = 0; i < 8; ++i) hub.started();
  for (int i = 0; i < kProducers; ++i) {
    spawn(test::executor_of(hub.io), "produce",
          produce(*hub.ingests[static_cast<std::size_t>(i % 8)], "u" + std::to_string(i), kEvents,
                  &left));
  }
  spawn(test::executor_of(hub.io), "stopper", stop_after(&left, &stop));
  test::run(hub.io, follow(hub.database, &seen, &stop));
  REQUIRE(seen.size() == kProducers * kEvents);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == seen.size());
  std::map<std::string, int> next;
  for (const auto& text : seen) {
    const auto bracket = text.find('[');
    const std::string user = text.substr(0, bracket);
    REQUIRE(std::stoi(text.substr(bracket + 1)) == next[user]++);
  }
}

}  // namespace
}  // namespace eventhub
