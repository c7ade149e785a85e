// Events published by SQL beside those that are posted: one scope of idempotency keys.
#include "api_fixture.hpp"
#include "eventhub/store/outbox.hpp"

namespace eventhub {
namespace {

using test::ApiFixture;

struct PublishFixture : ApiFixture {
  void move_all() {
    if (!outbox) {
      outbox = test::run(io, store::Outbox::connect(context));
      REQUIRE(test::run(io, outbox->try_acquire()));
    }
    while (test::run(io, outbox->move())) {
    }
  }
  std::unique_ptr<store::Outbox> outbox;
};

const std::string kPublishedEvent =
    R"({"event_type":"a.b","payload":{"n" : 1},"organization_id":"o","version":"v3"})";
const std::string kPublish = R"(SELECT publish('a.b', '{"n" : 1}', 'o', version => 'v3', )"
                             R"(idempotency_key => ')";

TEST_CASE("a key of SQL and one of the API are the same key") {
  PublishFixture hub;
  const std::string published = hub.db.query(kPublish + "one')");
  CHECK(hub.get("/events/" + published).status == 404);
  hub.move_all();
  CHECK(hub.get("/events/" + published).says(R"("payload":{"n" : 1})"));
  const auto again = hub.post(kPublishedEvent, "Idempotency-Key: one\r\n");
  CHECK(again.status == 200);
  CHECK(again.says(published));
  CHECK(hub.post(R"({"event_type":"a.b","payload":{}})", "Idempotency-Key: one\r\n").status == 422);

  const auto posted = hub.post(kPublishedEvent, "Idempotency-Key: two\r\n");
  CHECK(posted.status == 202);
  hub.db.sql(kPublish + "two')");
  hub.db.sql("SELECT publish('a.b', '{}', idempotency_key => 'two')");
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*) FROM events") == "2");
  CHECK(hub.db.query("SELECT payload FROM outbox_refused") == "{}");
  CHECK(hub.get("/metrics").says(R"(eventhub_events_received_total{event_type="a.b"} 2)"));
}

}  // namespace
}  // namespace eventhub
