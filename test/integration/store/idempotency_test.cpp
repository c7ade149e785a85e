// One key, one event: idempotency keys through Ingest, and their buckets.
#include "eventhub/store/idempotency_buckets.hpp"

#include <set>

#include "ingest_fixture.hpp"

namespace eventhub {
namespace {

using store::AcceptError;
using test::event_of;
using test::IngestFixture;
using test::key_of;

std::string buckets(IngestFixture& hub) {
  return hub.db.query(
      "SELECT count(*) FROM pg_inherits WHERE inhparent = 'idempotency_keys'::regclass");
}

TEST_CASE("64 requests with one key at once make one event") {
  IngestFixture hub;
  for (int i = 0; i < 4; ++i) hub.started();
  std::vector<IngestFixture::RequestPtr> requests;
  for (std::size_t i = 0; i < 64; ++i) {
    requests.push_back(hub.begin(*hub.ingests[i % 4], event_of("[]"), key_of(1, 1)));
  }
  hub.finish(requests);
  std::set<Uuid> ids;
  int first = 0;
  for (const auto& request : requests) {
    REQUIRE(request->accepted());
    ids.insert(request->value().event_id);
    first += request->value().replayed ? 0 : 1;
  }
  CHECK(ids.size() == 1);
  CHECK(first == 1);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1");
  CHECK(hub.db.query("SELECT id FROM events") == to_string(*ids.begin()));
}

// The look-up needs a snapshot that is younger than the ordering lock.
TEST_CASE("one key makes one event, whatever isolation the database has by default") {
  IngestFixture hub;
  hub.db.sql(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation ="
      " ''repeatable read''', current_database()); END $$");
  auto& one = hub.started();
  auto& another = hub.started();
  REQUIRE(hub.accept_one(one, event_of("[]"))->accepted());
  REQUIRE(hub.accept_one(another, event_of("[]"))->accepted());
  auto holder = test::run(hub.io, hub.database.connect(store::Profile::general));
  const std::string lock =
      "BEGIN; SELECT pg_advisory_xact_lock(" + std::to_string(hub.database.lock_space()) + ", 1)";
  test::run(hub.io, holder->exec(lock));
  const auto first = hub.begin(one, event_of("[1]"), key_of(1, 1));
  const auto second = hub.begin(another, event_of("[1]"), key_of(1, 1));
  hub.until([&] {
    return hub.db.query(
               "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND "
               "database = (SELECT oid FROM pg_database WHERE datname = current_database())") ==
           "2";
  });
  test::run(hub.io, holder->exec("ROLLBACK"));
  hub.finish({first, second});
  CHECK(first->value().event_id == second->value().event_id);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "3");
}

TEST_CASE("a key with another request is refused, in the same batch and later") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();
  const auto first = hub.begin(ingest, event_of("[1]"), key_of(1, 1));
  const auto other = hub.begin(ingest, event_of("[2]"), key_of(1, 2));
  const auto again = hub.begin(ingest, event_of("[1]"), key_of(1, 1));
  const auto next_key = hub.begin(ingest, event_of("[3]"), key_of(2, 2));
  hub.start_on(ingest, {first, other, again, next_key});
  REQUIRE(first->accepted());
  CHECK_FALSE(first->value().replayed);
  CHECK(other->failed(AcceptError::key_reused));
  REQUIRE(again->accepted());
  CHECK(again->value().replayed);
  CHECK(again->value().event_id == first->value().event_id);
  CHECK(next_key->accepted());

  // Now the key is stored: a batch led by the wrong request must not spoil the right one.
  ingest.stop();
  hub.until([&] { return hub.running == 0; });
  auto& later = hub.add_ingest();
  const auto wrong = hub.begin(later, event_of("[2]"), key_of(1, 2));
  const auto right = hub.begin(later, event_of("[1]"), key_of(1, 1));
  const auto unkeyed = hub.begin(later, event_of("[4]"));
  hub.start_on(later, {wrong, right, unkeyed});
  CHECK(wrong->failed(AcceptError::key_reused));
  REQUIRE(right->accepted());
  CHECK(right->value().event_id == first->value().event_id);
  CHECK(unkeyed->accepted());
  CHECK(hub.db.query("SELECT string_agg(payload, ' ' ORDER BY event_seq) FROM events") ==
        "[1] [3] [4]");
}

TEST_CASE("a refused request leaves its key to the next one") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();
  const auto bad = hub.begin(ingest, event_of("\xFF"), key_of(1, 1));
  const auto same_bad = hub.begin(ingest, event_of("\xFF"), key_of(1, 1));
  const auto good = hub.begin(ingest, event_of("[]"), key_of(1, 2));
  const auto neighbour = hub.begin(ingest, event_of("[]"), key_of(2, 2));
  hub.start_on(ingest, {bad, same_bad, good, neighbour});
  CHECK(bad->failed(AcceptError::refused));
  CHECK(same_bad->failed(AcceptError::refused));
  REQUIRE(good->accepted());
  CHECK_FALSE(good->value().replayed);
  CHECK(neighbour->accepted());
  CHECK(hub.db.query("SELECT count(*) FROM events") == "2");
  CHECK(hub.db.query("SELECT count(*) FROM idempotency_keys") == "2");
}

TEST_CASE("a batch of hundreds of keys, new and known") {
  IngestFixture hub;
  auto& ingest = hub.started();
  const auto batch = [&](int from, int to) {
    std::vector<IngestFixture::RequestPtr> requests;
    for (int i = from; i < to; ++i) {
      store::IdempotencyKey key = key_of(7, 7);
      key.key.bytes[0] = static_cast<std::uint8_t>(i & 0xFF);
      key.key.bytes[15] = static_cast<std::uint8_t>(i >> 8);
      requests.push_back(hub.begin(ingest, event_of("[" + std::to_string(i) + "]"), key));
    }
    hub.finish(requests);
    return std::count_if(requests.begin(), requests.end(),
                         [](auto& request) { return request->value().replayed; });
  };
  CHECK(batch(0, 400) == 0);
  CHECK(batch(200, 600) == 200);
  CHECK(batch(0, 600) == 600);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "600");
}

TEST_CASE("buckets are made ahead, once, whoever asks") {
  IngestFixture hub;
  auto& ingest = hub.started();
  REQUIRE(hub.accept_one(ingest, event_of("[]"), key_of(1, 1))->accepted());
  CHECK(buckets(hub) == "2");
  auto connection = test::run(hub.io, hub.database.connect(store::Profile::general));
  const auto ensure = [&](Seconds ttl) {
    test::run(hub.io, store::ensure_buckets(*connection, hub.database.lock_space(), ttl));
  };
  ensure(hub.config.ingest.idempotency_ttl);
  CHECK(buckets(hub) == "2");
  // A shorter or longer time to live joins onto what is there: never an overlap, never a gap at
  // now.
  ensure(Seconds{240});
  ensure(Seconds{864'000});
  CHECK(hub.db.query("SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
                     "WHERE inhparent = 'idempotency_keys'::regclass AND "
                     "extract(epoch FROM now()) BETWEEN split_part(relname, '_', 3)::bigint "
                     "AND split_part(relname, '_', 4)::bigint") == "1");
  CHECK(store::bucket_width(Seconds{86'400}) == Seconds{86'400});
  CHECK(store::bucket_width(Seconds{1}) == Seconds{60});
}

TEST_CASE("lost buckets are made again by the request that needs them") {
  IngestFixture hub;
  auto& ingest = hub.started();
  REQUIRE(hub.accept_one(ingest, event_of("[]"), key_of(1, 1))->accepted());
  hub.db.sql(
      "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT inhrelid FROM pg_inherits "
      "WHERE inhparent = 'idempotency_keys'::regclass LOOP EXECUTE 'DROP TABLE ' || t; "
      "END LOOP; END $$");
  REQUIRE(hub.accept_one(ingest, event_of("[]"), key_of(2, 2))->accepted());
  CHECK(buckets(hub) == "2");
}

TEST_CASE("a key is looked up in the index of each bucket") {
  IngestFixture hub;
  REQUIRE(hub.accept_one(hub.started(), event_of("[]"), key_of(1, 1))->accepted());
  const pg::Statement look{"look",
                           "EXPLAIN (COSTS OFF) SELECT event_id FROM idempotency_keys "
                           "WHERE k = ANY($1::uuid[])"};
  auto connection = test::run(hub.io, hub.database.connect(store::Profile::ingest));
  pg::Params keys;
  keys.uuids(std::span<const Uuid>(std::vector<Uuid>(64)));
  const pg::Result plan = test::run(hub.io, connection->run(look, std::move(keys)));
  int looks = 0;
  for (int row = 0; row < plan.rows(); ++row) {
    INFO(plan.text(row, 0));
    CHECK(plan.text(row, 0).find("Seq Scan") == std::string_view::npos);
    looks += plan.text(row, 0).find("Index Scan on idempotency_keys_") != std::string_view::npos;
  }
  CHECK(looks == 2);
}

TEST_CASE("keys are found in every bucket until theirs is dropped") {
  IngestFixture hub;
  const Seconds ttl{3'600};
  // A bucket that ended two hours ago, one that ended half an hour ago.
  hub.db.sql(R"(DO $$ DECLARE now_s bigint := extract(epoch FROM now()); r record; BEGIN
    FOR r IN SELECT * FROM
      (VALUES (now_s - 8000, now_s - 7200), (now_s - 2700, now_s - 1800)) v(lo, hi)
    LOOP EXECUTE format('CREATE TABLE idempotency_keys_%s_%s PARTITION OF idempotency_keys '
      'FOR VALUES FROM (%L) TO (%L)', r.lo, r.hi, to_timestamp(r.lo), to_timestamp(r.hi));
    END LOOP;
    INSERT INTO idempotency_keys VALUES
      ('01010101-0101-0101-0101-010101010101', '01010101-0101-0101-0101-010101010101',
       '0190a0a0-0000-7000-8000-000000000001', to_timestamp(now_s - 7500)),
      ('02020202-0202-0202-0202-020202020202', '02020202-0202-0202-0202-020202020202',
       '0190a0a0-0000-7000-8000-000000000002', to_timestamp(now_s - 2000));
    END $$)");
  auto& ingest = hub.started();
  const auto old_key = [&] {
    return hub.accept_one(ingest, event_of("[]"), key_of(1, 1))->value();
  };
  const auto recent = [&] { return hub.accept_one(ingest, event_of("[]"), key_of(2, 2))->value(); };
  CHECK(to_string(old_key().event_id) == "0190a0a0-0000-7000-8000-000000000001");
  CHECK(to_string(recent().event_id) == "0190a0a0-0000-7000-8000-000000000002");

  auto connection = test::run(hub.io, hub.database.connect(store::Profile::general));
  const auto drop = [&] {
    return test::run(hub.io,
                     store::drop_expired_buckets(*connection, hub.database.lock_space(), ttl));
  };
  {  // somebody reads: it stays for now, and nobody waits long
    auto reader = test::run(hub.io, hub.database.connect(store::Profile::general));
    test::run(hub.io, reader->exec("BEGIN; SELECT count(*) FROM idempotency_keys"));
    CHECK(drop() == 0);
    test::run(hub.io, reader->exec("COMMIT"));
  }
  CHECK(drop() == 1);
  CHECK(drop() == 0);
  CHECK_FALSE(old_key().replayed);
  CHECK(recent().replayed);
}

}  // namespace
}  // namespace eventhub
