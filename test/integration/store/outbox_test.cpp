// publish() in SQL and the way of its rows to events: once, in order, and in nobody's way.
#include "eventhub/store/outbox.hpp"

#include "ingest_fixture.hpp"

namespace eventhub {
namespace {

using Catch::Matchers::Contains;
using test::event_of;
using test::IngestFixture;

struct Published : IngestFixture {
  explicit Published(std::int64_t partition_rows = 1'000'000, const Change& change = {})
      : IngestFixture(partition_rows, change) {
    test::run(io, partitions.reload());
    outbox = owner();
  }
  std::unique_ptr<store::Outbox> owner() {
    auto session = test::run(io, store::Outbox::connect(context));
    return session;
  }
  void move_all() {
    if (!acquired) acquired = test::run(io, outbox->try_acquire());
    REQUIRE(acquired);
    while (test::run(io, outbox->move())) {
    }
  }
  std::string payloads() {
    return db.query("SELECT string_agg(payload, ' ' ORDER BY event_seq) FROM events");
  }
  std::string refusal(const std::string& arguments) {
    try {
      db.sql("SELECT publish(" + arguments + ")");
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }

  std::unique_ptr<store::Outbox> outbox;
  bool acquired = false;
};

TEST_CASE("outbox: what is published is an event with every byte, once") {
  Published hub;
  const std::string id = hub.db.query(
      R"(SELECT publish('user.created', E' {"b" : 1e999,\n "a":"\\u0000 \\ud800"} ', 'org',)"
      R"( 'user-1', 'v2',)"
      R"( traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'))");
  CHECK(hub.db.query("SELECT count(*) FROM events") == "0");
  hub.move_all();
  CHECK(hub.db.query("SELECT id, event_type, version, organization_id, user_id, traceparent, "
                     "replace(payload, E'\\n', '') FROM events") ==
        id + "|user.created|v2|org|user-1|00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01|"
             R"({"b" : 1e999, "a":"\u0000 \ud800"})");
  CHECK(hub.db.query("SELECT count(*) FROM outbox") == "0");
  CHECK(test::run(hub.io, hub.wakeups.of(store::Signal::events).wait(Millis{0})));
  hub.db.sql(
      "SELECT publish('a', '[1]'::json), publish('a', jsonb_build_array(2)), "
      "publish('a', '[3]'::text)");
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*), count(DISTINCT id) FROM events") == "4|4");
  CHECK(hub.db.query("SELECT max(version) FROM events WHERE event_type = 'a'") == "v1");
}

TEST_CASE("outbox: the order is that of the calls, in pieces of any size") {
  Published hub(1'000'000, [](Config& config) {
    config.ingest.batch_rows_max = 7;
    config.ingest.batch_bytes_max = 1'024;
  });
  hub.db.sql(
      "SELECT publish('a', '[' || i || ', \"' || repeat('x', i * 37 % 600) || '\"]') FROM "
      "generate_series(1, 200) i");
  hub.db.sql("SELECT publish('a', '[201,\"' || repeat('x', 5000) || '\"]')");
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*), bool_and((payload::json ->> 0)::int = n) FROM (SELECT "
                     "payload, row_number() OVER (ORDER BY event_seq) AS n FROM events) e") ==
        "201|t");
  CHECK(test::number(hub.db.query("SELECT count(DISTINCT xmin::text) FROM events")) > 28);
}

TEST_CASE("outbox: a rollback publishes nothing, and an open transaction holds up nobody") {
  Published hub;
  auto& ingest = hub.started();
  auto open = test::run(hub.io, hub.database.connect(store::Profile::general));
  test::run(hub.io, open->exec("BEGIN; SELECT publish('a', '[\"late\"]')"));
  hub.db.sql("BEGIN; SELECT publish('a', '[\"never\"]'); ROLLBACK");
  hub.db.sql("SELECT publish('a', '[1]')");
  hub.move_all();
  CHECK(hub.accept_one(ingest, event_of("[2]"))->accepted());
  hub.db.sql(
      "BEGIN; SELECT publish('a', '[3]'); SAVEPOINT s; SELECT publish('a', '[\"no\"]'); "
      "ROLLBACK TO s; SELECT publish('a', '[4]'); COMMIT");
  hub.move_all();
  CHECK(hub.payloads() == "[1] [2] [3] [4]");
  test::run(hub.io, open->exec("COMMIT"));
  hub.move_all();
  CHECK(hub.payloads() == R"([1] [2] [3] [4] ["late"])");
}

TEST_CASE("outbox: a row that somebody holds is left for later, and the others go") {
  Published hub;
  hub.db.sql("SELECT publish('a', '[1]'), publish('a', '[2]'), publish('a', '[3]')");
  auto holder = test::run(hub.io, hub.database.connect(store::Profile::general));
  test::run(hub.io, holder->exec("BEGIN; SELECT FROM outbox WHERE payload = '[2]' FOR UPDATE"));
  hub.move_all();
  CHECK(hub.payloads() == "[1] [3]");
  test::run(hub.io, holder->exec("ROLLBACK"));
  hub.move_all();
  CHECK(hub.payloads() == "[1] [3] [2]");
}

TEST_CASE("outbox: bad values are refused in the producer's transaction, and it is told why") {
  Published hub;
  CHECK(hub.refusal("'a', '{}'") == "accepted");
  for (const auto& [arguments, why] : std::map<std::string, std::string>{
           {"'a b', '{}'", "event_type_is_1_to_255_of_letters_digits_and_signs"},
           {"'', '{}'", "event_type_is_1_to_255_of_letters_digits_and_signs"},
           {"repeat('a', 256), '{}'", "event_type_is_1_to_255_of_letters_digits_and_signs"},
           {"NULL, '{}'", "event_type"},
           {"'a', '1'", "payload_is_a_json_object_or_array"},
           {"'a', '{'", "invalid input syntax for type json"},
           {"'a', ''", "invalid input syntax for type json"},
           {"'a', NULL::text", "payload"},
           {"'a', '[\"' || repeat('x', 1048576) || '\"]'", "publish_payload_bytes_max"},
           {"'a', '{}', ''", "organization_id_is_1_to_255_without_control_characters"},
           {"'a', '{}', repeat('x', 256)", "organization_id_is_1_to_255"},
           {"'a', '{}', user_id => E'a\\u0085'", "user_id_is_1_to_255_without_control_characters"},
           {"'a', '{}', user_id => E'a\\tb'", "user_id_is_1_to_255_without_control_characters"},
           {"'a', '{}', version => ' v1'", "version_is_1_to_64_printable_ascii"},
           {"'a', '{}', version => repeat('v', 65)", "version_is_1_to_64_printable_ascii"},
           {"'a', '{}', idempotency_key => ''", "1 to 255 printable ASCII characters"},
           {"'a', '{}', idempotency_key => E'a\\nb'", "1 to 255 printable ASCII characters"}}) {
    INFO(arguments);
    CHECK_THAT(hub.refusal(arguments), Contains(why));
  }
  CHECK(hub.refusal("'a', '[\"' || repeat('x', 1048572) || '\"]'") == "accepted");
  CHECK(hub.refusal("'AZaz09_.:/-', '{}', repeat(U&'\\20AC', 255), '🙂', repeat('v', 64)") ==
        "accepted");
  CHECK(hub.db.query("SELECT count(*) FROM outbox") == "3");
}

TEST_CASE("outbox: a producer needs nothing but the schema") {
  Published hub;
  const std::string role = "shop_" + hub.db.name();
  hub.db.sql("CREATE ROLE " + role + "; GRANT USAGE ON SCHEMA eventhub TO " + role);
  hub.db.sql("SET ROLE " + role + "; SELECT eventhub.publish('a', '[1]')");
  CHECK_THROWS(hub.db.sql("SET ROLE " + role + "; SELECT FROM eventhub.outbox"));
  CHECK_THROWS(hub.db.sql("SET ROLE " + role + "; SELECT eventhub.move_outbox(1, 1, 1, 1)"));
  hub.move_all();
  CHECK(hub.payloads() == "[1]");
  hub.db.sql("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

// A trigger function that runs as the hub's role compares the columns of the table it is attached
// to: on a table of somebody else's with functions of his.
TEST_CASE("outbox: who may use the schema runs nothing as the hub's role but publish()") {
  Published hub;
  const std::string open =
      "SELECT string_agg(DISTINCT p.proname, ' ') FROM pg_proc p"
      " WHERE p.pronamespace = 'eventhub'::regnamespace AND p.prosecdef"
      " AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
      "  WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')";
  CHECK(hub.db.query(open) == "publish");
  const std::string role = "shop_" + hub.db.name();
  hub.db.sql("CREATE ROLE " + role + "; GRANT USAGE ON SCHEMA eventhub TO " + role);
  const std::string attach = "SET ROLE " + role +
                             "; CREATE TEMP TABLE t (sid integer);"
                             " CREATE TRIGGER a AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION ";
  CHECK_THROWS_WITH(hub.db.sql(attach + "eventhub.forget_health()"), Contains("permission denied"));
  hub.db.sql("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_CASE(
    "outbox: of one key the first is the event, the same again is none, another is set aside") {
  Published hub;
  const std::string key = ", idempotency_key => 'k')";
  hub.db.sql("SELECT publish('a', '[1]'" + key + ", publish('a', '[1]'" + key +
             ", publish('a', '[2]'" + key + ", publish('a', '[3]')");
  hub.move_all();
  CHECK(hub.payloads() == "[1] [3]");
  CHECK(hub.db.query("SELECT payload FROM outbox_refused") == "[2]");
  hub.db.sql("SELECT publish('a', ' [1] '" + key + ", publish('a', '[4]'" + key +
             ", publish('a', '[1]', producer => 'other'" + key);
  hub.move_all();
  CHECK(hub.payloads() == "[1] [3] [1]");
  CHECK(hub.db.query("SELECT string_agg(payload, ' ' ORDER BY payload) FROM outbox_refused") ==
        "[2] [4]");
}

TEST_CASE("outbox: partitions that are missing are made") {
  Published hub(10);
  hub.db.sql("SELECT publish('a', '[]', idempotency_key => i::text) FROM generate_series(1, 95) i");
  hub.move_all();
  CHECK(hub.db.query("SELECT count(*) FROM events") == "95");
  CHECK(hub.db.query("SELECT count(*) FROM idempotency_keys") == "95");
}

TEST_CASE("outbox: one session moves, and another goes on when it is gone") {
  Published hub;
  hub.move_all();
  auto second = hub.owner();
  CHECK_FALSE(test::run(hub.io, second->try_acquire()));
  test::run(hub.io, hub.outbox->release());
  CHECK(test::run(hub.io, second->try_acquire()));
}

// One that begins anew whenever its session is killed.
Task<void> keep_moving(store::Context& context, const bool* stop, int* lost) {
  for (bool over = false; !over;) {
    bool failed = false;
    try {
      auto outbox = co_await store::Outbox::connect(context);
      bool owner = false;
      while (!owner) owner = co_await outbox->try_acquire();
      while (!over) {
        const bool all_published = *stop;
        const bool more = co_await outbox->move();
        over = all_published && !more;
      }
    } catch (const pg::Error&) {
      failed = true;
    }
    if (failed) ++*lost;
  }
}

Task<void> keep_publishing(store::Database& database, int events, int* left) {
  auto connection = co_await database.connect(store::Profile::general);
  const pg::Statement publish{"publish", "SELECT publish('a', $1)"};
  for (int i = 0; i < events; ++i) {
    pg::Params params;
    const std::string payload = "[" + std::to_string(i) + "]";
    params.text(payload);
    co_await connection->run(publish, std::move(params));
  }
  --*left;
}

TEST_CASE("outbox: sessions are killed in the middle, and every event is there once, in order") {
  Published hub(1'000'000, [](Config& config) { config.ingest.batch_rows_max = 5; });
  bool stop = false;
  int lost = 0, left = 1, moving = 1;
  spawn(test::executor_of(hub.io), "publish", keep_publishing(hub.database, 2'000, &left));
  const auto mover = [](store::Context& context, const bool* end, int* losses,
                        int* running) -> Task<void> {
    co_await keep_moving(context, end, losses);
    --*running;
  };
  spawn(test::executor_of(hub.io), "move", mover(hub.context, &stop, &lost, &moving));
  for (int kill = 0; kill < 12; ++kill) {
    hub.wait(Millis{15 + kill * 3});
    hub.db.query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND "
        "objid = 6 AND granted AND database = (SELECT oid FROM pg_database WHERE datname "
        "= current_database())");
  }
  hub.until([&] { return left == 0; });
  stop = true;
  hub.until([&] { return moving == 0; });
  CHECK(lost > 3);
  CHECK(hub.db.query("SELECT count(*), bool_and((payload::json ->> 0)::int = n - 1) FROM (SELECT "
                     "payload, row_number() OVER (ORDER BY event_seq) AS n FROM events) e") ==
        "2000|t");
  CHECK(hub.db.query("SELECT count(*) FROM outbox") == "0");
}

}  // namespace
}  // namespace eventhub
