// Receivers that fail for too long are paused, and operators hear of it.
#include "eventhub/cleanup/cleanup.hpp"
#include "eventhub/core/ids.hpp"
#include "support/hub.hpp"

namespace eventhub::test {
namespace {

struct HealthWorld {
  explicit HealthWorld(Seconds pause_after = Seconds{3'600}) {
    Config config;
    config.cleanup.interval = Millis{100};
    config.webhook.pause_after_failing = pause_after;
    hub = std::make_unique<Hub>(io, db, std::move(config));
  }

  void add(const std::string& name, const std::string& pattern) {
    db.sql("INSERT INTO subscribers (name, event_type, webhook_url, created_by) VALUES ('" + name +
           "', '" + pattern + "', 'http://localhost:1/', 'test')");
  }
  void failing(const std::string& name, const std::string& since, const std::string& last) {
    db.sql(
        "INSERT INTO subscriber_health (sid, failing_since, last_failure) SELECT sid, now() - "
        "interval '" +
        since + "', now() - interval '" + last + "' FROM subscribers WHERE name = '" + name + "'");
  }
  void dead_letter(int seq, const std::string& type) {
    const std::string n = std::to_string(seq);
    db.sql(
        "INSERT INTO dead_letter_queue (event_seq, sid, shard, message_id, event_id, outcome, "
        "reason, attempts, event_type) VALUES (" +
        n + ", 1, 0, gen_random_uuid(), gen_random_uuid(), 3, 'rejected', 1, '" + type + "')");
  }
  bool rounds(int count) {
    const int before = rounds_done();
    return run_until(io, [&] { return rounds_done() >= before + count; });
  }
  int rounds_done() {
    const std::string name = "eventhub_batch_rows_count{queue=\"dropped_partitions\"} ";
    const std::string all = hub->metrics.expose();
    const std::size_t at = all.find(name);
    return at == std::string::npos ? 0 : std::stoi(all.substr(at + name.size()));
  }
  std::string paused() {
    return db.query(
        "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM subscribers WHERE paused");
  }

  boost::asio::io_context io;
  TestDatabase db{100};
  std::unique_ptr<Hub> hub;
};

}  // namespace

TEST_CASE("who fails for too long is paused once, with the reason") {
  HealthWorld w;
  for (const char* name : {"dead", "new", "idle", "off"}) w.add(name, "a");
  w.db.sql("UPDATE subscribers SET is_active = false WHERE name = 'off'");
  w.failing("dead", "3601 s", "0 s");
  w.failing("new", "3599 s", "0 s");
  w.failing("idle", "9 days", "8 days 23 h 30 min");  // nothing was sent since
  w.failing("off", "9 days", "0 s");
  Running cleanup(*w.hub, make_cleanup(w.hub->context));
  CHECK(run_until(w.io, [&] { return w.paused() == "dead"; }));
  CHECK(w.db.query("SELECT paused_reason ~ '^nothing but failures from 20[0-9T:-]{17}Z to 20' FROM "
                   "subscribers WHERE paused") == "t");
  // Who is resumed, or has another address, begins anew.
  w.db.sql("UPDATE subscribers SET paused = false, paused_reason = NULL WHERE name = 'dead'");
  w.db.sql("UPDATE subscribers SET webhook_url = 'http://localhost:2/' WHERE name = 'new'");
  w.db.sql("DELETE FROM subscribers WHERE name = 'off'");
  CHECK(w.db.query("SELECT s.name FROM subscriber_health h JOIN subscribers s USING (sid)") ==
        "idle");
  const auto version = [&] { return w.db.query("SELECT version FROM subscribers_version"); };
  const std::string before = version();
  CHECK(w.rounds(2));
  CHECK(w.paused().empty());
  CHECK(version() == before);  // nobody loads subscribers because nothing changed
}

TEST_CASE("nobody is paused for failures when that is off") {
  HealthWorld w(Seconds{0});
  w.add("dead", "a");
  w.failing("dead", "9 days", "0 s");
  Running cleanup(*w.hub, make_cleanup(w.hub->context));
  CHECK(w.rounds(3));
  CHECK(w.paused().empty());
}

TEST_CASE("operators hear of what they subscribe to, and nothing is written for nobody") {
  HealthWorld w;
  const auto cause = [&] {
    w.db.sql("UPDATE subscribers SET paused = true, paused_reason = 'why' WHERE name = 'ill'");
    w.db.sql("UPDATE subscribers SET paused = false, paused_reason = NULL WHERE name = 'ill'");
    w.db.sql("INSERT INTO subscriber_health (sid, circuit) VALUES (1, 'open')");
    w.db.sql("UPDATE subscriber_health SET circuit = 'half_open'");
    w.db.sql("UPDATE subscriber_health SET circuit = 'closed'");
    w.db.sql("DELETE FROM subscriber_health; DELETE FROM dead_letter_queue");
    w.dead_letter(7, "a.b");
    w.db.sql("UPDATE dead_letter_queue SET attempts = 2");  // sent again, dead again
  };
  w.add("ill", "a.b");
  w.add("all", ">");
  w.add("else", "eventhub.message.other");
  w.add("inactive", "eventhub.>");
  w.db.sql("UPDATE subscribers SET is_active = false WHERE name = 'inactive'");
  cause();
  CHECK(w.db.query("SELECT count(*) FROM outbox") == "0");
  w.add("operator", "eventhub.>");
  cause();
  CHECK(w.db.query("SELECT string_agg(event_type || ' ' || coalesce(payload::jsonb ->> 'reason', "
                   "'-'), ',' ORDER BY id) FROM outbox") ==
        "eventhub.subscriber.paused why,eventhub.subscriber.recovered resumed,"
        "eventhub.subscriber.recovered circuit_closed,"
        "eventhub.message.dead rejected,eventhub.message.dead rejected");
  CHECK(w.db.query("SELECT count(*) FROM outbox WHERE payload::jsonb ->> 'subscriber_id' = "
                   "(SELECT id::text FROM subscribers WHERE name = 'ill')") == "5");
}

TEST_CASE("operators hear only of what their pattern is for") {
  HealthWorld w;
  w.add("ill", "a.b");
  w.add("operator", "eventhub.*.paused");
  w.db.sql("UPDATE subscribers SET paused = true WHERE name = 'ill'");
  w.db.sql("UPDATE subscribers SET paused = false WHERE name = 'ill'");
  w.dead_letter(7, "a.b");
  CHECK(w.db.query("SELECT string_agg(event_type, ',') FROM outbox") ==
        "eventhub.subscriber.paused");
}

// They are written with what they tell of: results of deliveries, for one.
TEST_CASE("what is told to operators makes nothing fail") {
  HealthWorld w;
  w.add("operator", "eventhub.>");
  w.add("ill", "a.b");
  w.db.sql("UPDATE settings SET value = '1' WHERE name = 'publish_payload_bytes_max'");
  w.dead_letter(7, "a.b");
  CHECK(w.db.query("SELECT count(*) FROM outbox") == "1");
  w.db.sql("ALTER TABLE outbox ADD CHECK (event_type NOT LIKE 'eventhub.%') NOT VALID");
  w.dead_letter(8, "a.b");
  w.db.sql("UPDATE subscribers SET paused = true WHERE name = 'ill'");
  CHECK(w.db.query("SELECT count(*) FROM dead_letter_queue") == "2");
  CHECK(w.db.query("SELECT count(*) FROM outbox") == "1");
}

TEST_CASE("a dead letter of an operator event makes none") {
  HealthWorld w;
  w.add("operator", "eventhub.>");
  for (const char* type :
       {"eventhub.message.dead", "eventhub.subscriber.paused", "eventhub.subscriber.recovered"}) {
    w.dead_letter(static_cast<int>(std::string_view(type).size()), type);
  }
  CHECK(w.db.query("SELECT count(*) FROM outbox") == "0");
  w.dead_letter(1, "eventhub.test");
  CHECK(w.db.query("SELECT count(*) FROM outbox") == "1");
}

}  // namespace eventhub::test
