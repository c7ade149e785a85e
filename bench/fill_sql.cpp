// The statements, as texts. The locks are those of include/eventhub/store/database.hpp.
#include "bench/fill_sql.hpp"

#include <fmt/format.h>

namespace eventhub::bench {
namespace {

// The hub's locks are (oid of its schema, number).
std::string lock(int number) {
  return fmt::format("pg_advisory_xact_lock(current_schema()::regnamespace::oid::int4, {})",
                     number);
}
constexpr int kOrderingLock = 1;
constexpr int kPartitionsLock = 5;

// The default ingest.idempotency_ttl_seconds; two of these live.
constexpr int kBucketSeconds = 86'400;

}  // namespace

// The lock first, then the numbers: event_seq is the order of commits. Ids are of version 7, as the
// hub makes them.
std::string insert_events_sql(std::string_view event_type, std::int64_t count) {
  return fmt::format(R"(
SELECT {0};
WITH written AS (
  INSERT INTO events (id, event_type, version, organization_id, payload)
  SELECT (substr(stamp, 1, 8) || '-' || substr(stamp, 9) || '-7' ||
          substr(gen_random_uuid()::text, 16))::uuid,
         '{1}', '1.0', 'org-' || i % 1000, '{{"n":' || i || ',"pad":"' || repeat('x', 280) || '"}}'
  FROM (SELECT i, lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
               AS stamp FROM generate_series(1, {2}) i) numbered
  RETURNING event_seq)
SELECT max(event_seq) FROM written)",
                     lock(kOrderingLock), event_type, count);
}

// By the hub's own function. It makes them larger the more there are, so that there are never two
// hundred; out of its sight are, for this transaction, all but the last.
std::string make_partitions_sql(int count, std::int64_t rows_each) {
  return fmt::format(R"(DO $make$
DECLARE rows text;
BEGIN
  PERFORM {0};
  SELECT value INTO rows FROM settings WHERE name = 'partition_rows';
  UPDATE settings SET value = '{1}' WHERE name = 'partition_rows';
  CREATE TEMP TABLE hidden ON COMMIT DROP AS SELECT * FROM partitions LIMIT 0;
  FOR i IN 1..{2} LOOP
    WITH gone AS (DELETE FROM partitions WHERE number < (SELECT max(number) FROM partitions)
                  RETURNING *)
    INSERT INTO hidden SELECT * FROM gone;
    PERFORM create_next_partition();
  END LOOP;
  INSERT INTO partitions SELECT * FROM hidden;
  UPDATE settings SET value = rows WHERE name = 'partition_rows';
END $make$)",
                     lock(kPartitionsLock), rows_each, count);
}

// The shard is of no meaning any more: it is only looked at above the low water.
std::string insert_history_sql(std::int64_t first, std::int64_t last, std::int64_t first_sid) {
  return fmt::format(R"(
WITH fanned AS (
  INSERT INTO messages (event_seq, sid, shard)
  SELECT event_seq, {2} + i, (event_seq + i) % 64
  FROM events, generate_series(0, 1) i
  WHERE event_seq BETWEEN {0} AND {1} AND event_type = 'bench.stored'
  RETURNING event_seq, sid, shard)
INSERT INTO delivery_attempts (event_seq, sid, shard, attempt, outcome, http_status, latency_ms,
                               attempted_at)
SELECT event_seq, sid, shard, 1, 1, 200, 1, clock_timestamp() FROM fanned)",
                     first, last, first_sid);
}

// The bucket before the one of now, which the hub has made, with the bounds that the hub would have
// given it, under the name that it knows it by.
std::string make_key_bucket_sql() {
  return fmt::format(R"(DO $make$
DECLARE
  now_s bigint := floor(extract(epoch FROM now()));
  from_s bigint; to_s bigint; bucket text;
BEGIN
  PERFORM {0};
  from_s := (now_s / {1} - 1) * {1};
  to_s := from_s + {1};
  bucket := format('idempotency_keys_%s_%s', from_s, to_s);
  IF to_regclass(bucket) IS NULL THEN
    EXECUTE format('CREATE TABLE %I (LIKE idempotency_keys INCLUDING ALL)', bucket);
    EXECUTE format('ALTER TABLE idempotency_keys ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   bucket, to_timestamp(from_s), to_timestamp(to_s));
  END IF;
END $make$)",
                     lock(kPartitionsLock), kBucketSeconds);
}

std::string insert_keys_sql(std::int64_t count) {
  return fmt::format(R"(
INSERT INTO idempotency_keys (k, fingerprint, event_id, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
       CASE WHEN i % 2 = 0 THEN now()
            ELSE to_timestamp((floor(extract(epoch FROM now()))::bigint / {1} - 1) * {1})
                 + random() * interval '{1} s' END
FROM generate_series(1, {0}) i)",
                     count, kBucketSeconds);
}

}  // namespace eventhub::bench
