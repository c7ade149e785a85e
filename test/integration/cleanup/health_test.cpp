// Receivers that fail for too long are paused.
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
  CHECK(w.rounds(2));
  CHECK(w.paused().empty());
}

TEST_CASE("nobody is paused for failures when that is off") {
  HealthWorld w(Seconds{0});
  w.add("dead", "a");
  w.failing("dead", "9 days", "0 s");
  Running cleanup(*w.hub, make_cleanup(w.hub->context));
  CHECK(w.rounds(3));
  CHECK(w.paused().empty());
}

}  // namespace eventhub::test
