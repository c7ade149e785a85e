#include "eventhub/store/subscribers.hpp"

#include <boost/asio/io_context.hpp>

#include "support/catch.hpp"
#include "support/private_postgres.hpp"
#include "support/readme_insert.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {
namespace {

constexpr const char* kSecretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr const char* kSecretB = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct Fixture {
  TestDatabase db;
  boost::asio::io_context io;
  Metrics metrics{10};
  store::Database database{executor_of(io), db.config(), metrics};
  store::Subscribers subscribers{database};

  SubscriberSetPtr refresh() { return run(io, subscribers.refresh()); }
  SubscriberPtr only() {
    const SubscriberSetPtr set = refresh();
    REQUIRE(set->by_sid.size() == 1);
    return set->by_sid.begin()->second;
  }
  void add(const std::string& columns, const std::string& values) {
    db.sql("INSERT INTO subscribers (name, event_type, webhook_url, created_by" + columns +
           ") VALUES ('n', 'user.created', 'http://localhost:1/', 'me'" + values + ")");
  }
};

Task<void> refresh_into(store::Subscribers& subscribers, std::int64_t& version) {
  const SubscriberSetPtr set = co_await subscribers.refresh();
  version = set->version;
}

}  // namespace

TEST_CASE("the INSERT of the documentation works and every column arrives") {
  Fixture f;
  f.db.sql(readme_insert());
  const SubscriberPtr s = f.only();
  CHECK(s->name == "User Service");
  CHECK(to_string(s->id) == f.db.query("SELECT id FROM subscribers"));
  CHECK(s->patterns == std::vector<std::string>{"user.created"});
  CHECK(s->webhook_url == "https://api.example.com/webhooks/user-created");
  CHECK(s->guarantee == Guarantee::at_least_once);
  CHECK(s->ordering == OrderingKey::organization_id);
  CHECK(s->on_dead == OnDead::go_on);
  CHECK(s->retry.limit == 3);
  CHECK(s->retry.backoff_seconds == std::vector<double>{5, 30, 300});
  CHECK(s->retry.jitter == 0);
  CHECK(s->retry.statuses == std::vector<StatusRange>{{429, 429}, {500, 599}});
  CHECK(s->active);
  CHECK_FALSE(s->paused);
  CHECK(s->max_in_flight == 64);
  CHECK(s->rate_limit == 0);
  CHECK(s->circuit.failures == 0);
  CHECK_FALSE(s->timeout);
  CHECK(s->headers.empty());
  CHECK(s->secrets.empty());
}

TEST_CASE("columns beyond the defaults arrive") {
  Fixture f;
  f.add(
      ", event_types, delivery_guarantee, ordering_key, on_dead, retry_jitter, paused, timeout_ms, "
      "body"
      ", max_in_flight, rate_limit, circuit_failures, circuit_open_ms, retry_statuses",
      ", '{a.*,b.>}', 'at_most_once', 'user_id', 'block', 0.25, true, 1500, 'envelope', 1, 0.5, 7, "
      "500, '{404,5xx}'");
  const SubscriberPtr s = f.only();
  CHECK(s->patterns == std::vector<std::string>{"user.created", "a.*", "b.>"});
  CHECK(s->guarantee == Guarantee::at_most_once);
  CHECK(s->ordering == OrderingKey::none);  // ordering_enabled is false
  CHECK(s->on_dead == OnDead::block);
  CHECK(s->retry.jitter == 0.25);
  CHECK(s->retry.statuses == std::vector<StatusRange>{{404, 404}, {500, 599}});
  CHECK(s->paused);
  CHECK(s->timeout == Millis{1500});
  CHECK(s->body == BodyFormat::envelope);
  CHECK(s->max_in_flight == 1);
  CHECK(s->rate_limit == 0.5);
  CHECK(s->circuit.failures == 7);
  CHECK(s->circuit.open == Millis{500});
}

TEST_CASE("the copy follows the table, and is kept while nothing changed") {
  Fixture f;
  const SubscriberSetPtr none = f.refresh();
  CHECK(none->by_sid.empty());
  CHECK(none->version >= 0);
  CHECK(f.refresh() == none);
  f.add("", "");
  CHECK(f.only()->active);
  f.db.sql("UPDATE subscribers SET is_active = false");
  CHECK_FALSE(f.only()->active);
  const std::int64_t before = f.subscribers.current()->version;
  f.db.sql("DELETE FROM subscribers");
  CHECK(f.refresh()->by_sid.empty());
  CHECK(f.refresh()->version > before);
}

TEST_CASE("concurrent refreshes each see what was committed before them") {
  Fixture f;
  f.add("", "");
  std::vector<std::int64_t> versions(20, -1);
  for (std::int64_t& version : versions) {
    spawn(executor_of(f.io), "refresh", refresh_into(f.subscribers, version));
  }
  REQUIRE(test::runs_out(f.io));
  const std::int64_t now = std::stoll(f.db.query("SELECT version FROM subscribers_version"));
  for (const std::int64_t version : versions) CHECK(version == now);
}

TEST_CASE("a rotated secret signs beside the new one until its time is over") {
  Fixture f;
  const std::string both = std::string(", '") + kSecretA + "', '" + kSecretB + "', ";
  f.add(", secret, previous_secret, previous_secret_until", both + "now() + interval '1 hour'");
  CHECK(f.only()->secrets == std::vector<std::string>{kSecretA, kSecretB});
  f.db.sql("UPDATE subscribers SET previous_secret_until = now() - interval '1 s'");
  CHECK(f.only()->secrets == std::vector<std::string>{kSecretA});
}

TEST_CASE("headers that would break a request are left out, the others are sent") {
  Fixture f;
  f.add(", headers",
        R"(, '{"X-Team": "blue", "Host": "evil", "content-LENGTH": "1", "Transfer-Encoding": "x",
          "connection": "close", "X-Message-Id": "1", "Webhook-Id": "1", "X-N": 5, "X-O": {"a": 1},
          "X-Split": "a\r\nX-Evil: 1", "X Space": "v", "": "v", "X-Umlaut": "ä"}')");
  const SubscriberPtr s = f.only();
  CHECK(s->active);
  std::map<std::string, std::string> headers(s->headers.begin(), s->headers.end());
  CHECK(headers == std::map<std::string, std::string>{{"X-Team", "blue"}, {"X-Umlaut", "ä"}});
}

TEST_CASE("headers that the hub sends itself cannot be doubled") {
  Fixture f;
  std::string names;
  for (const char* name :
       {"Content-Type", "User-Agent", "X-Event-Id", "X-Event-Type", "X-Event-Version",
        "X-Event-Seq", "x-EVENT-anything", "X-Delivery-Attempt", "X-Message-Id", "traceparent",
        "tracestate", "Expect", "TE", "Trailer", "Upgrade", "Keep-Alive", "webhook-signature"}) {
    names += std::string(R"(")") + name + R"(": "mine", )";
  }
  f.add(", headers", ", '{" + names + R"("X-Events": "yes", "Webhook": "yes"}')");
  const SubscriberPtr s = f.only();
  std::map<std::string, std::string> headers(s->headers.begin(), s->headers.end());
  CHECK(headers == std::map<std::string, std::string>{{"X-Events", "yes"}, {"Webhook", "yes"}});
}

TEST_CASE("rows changed by hand beyond all checks count as inactive and disturb nobody") {
  const std::string changes[] = {"headers = '[1]'",
                                 "headers = NULL",
                                 "retry_backoff_seconds = '{}'",
                                 "retry_limit = NULL",
                                 "delivery_guarantee = 'twice'",
                                 "ordering_enabled = true, ordering_key = 'colour'",
                                 "ordering_enabled = true, ordering_key = NULL",
                                 "webhook_url = NULL",
                                 "max_in_flight = 0",
                                 "rate_limit = -1",
                                 "timeout_ms = -5",
                                 "name = NULL",
                                 "is_active = NULL",
                                 "body = 'xml'",
                                 "on_dead = NULL"};
  Fixture f;
  f.db.sql(R"(DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conname FROM pg_constraint
             WHERE conrelid = 'subscribers'::regclass AND contype = 'c' LOOP
      EXECUTE format('ALTER TABLE subscribers DROP CONSTRAINT %I', c.conname); END LOOP;
    FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'subscribers'::regclass
             AND attnum > 0 AND attnotnull AND attname NOT IN ('sid', 'id') LOOP
      EXECUTE format('ALTER TABLE subscribers ALTER %I DROP NOT NULL', c.attname);
    END LOOP; END $$)");
  f.add(", id", ", '00000000-0000-0000-0000-000000000001'");
  for (const std::string& change : changes) {
    INFO(change);
    f.add(", id", ", '00000000-0000-0000-0000-000000000002'");
    f.db.sql("UPDATE subscribers SET " + change + " WHERE id::text LIKE '%2'");
    const SubscriberSetPtr set = f.refresh();
    REQUIRE(set->by_sid.size() == 2);
    int active = 0;
    for (const auto& [sid, subscriber] : set->by_sid) active += subscriber->active ? 1 : 0;
    CHECK(active == 1);
    f.db.sql("DELETE FROM subscribers WHERE id::text LIKE '%2'");
  }
}

TEST_CASE("410 pauses a subscriber once, with the reason") {
  Fixture f;
  f.add("", "");
  const std::int32_t sid = f.only()->sid;
  run(f.io, f.subscribers.pause(sid, "the receiver answered 410 Gone"));
  CHECK(f.only()->paused);
  CHECK(f.only()->active);
  run(f.io, f.subscribers.pause(sid, "another reason"));
  CHECK(f.db.query("SELECT paused, paused_reason FROM subscribers") ==
        "t|the receiver answered 410 Gone");
}

}  // namespace eventhub::test
