// Time buckets of idempotency_keys. Ingest makes them ahead, cleanup drops the old ones. A bucket's
// bounds are its name, so a changed time to live never makes two buckets overlap.
#include "eventhub/store/idempotency_buckets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "eventhub/core/log.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {
namespace {

constexpr Seconds kWidthMin{60};

// {0} lock space, {1} lock, {2} width, {3} buckets. LIKE and ATTACH instead of PARTITION OF: no
// exclusive lock on the parent.
constexpr const char* kEnsure = R"(DO $ensure$
DECLARE
  wanted bigint; new_from bigint; new_to bigint; bucket text;
BEGIN
  PERFORM pg_advisory_xact_lock({0}, {1});
  FOR ahead IN 0..1 LOOP
    wanted := floor(extract(epoch FROM now()))::bigint + ahead * {2};
    IF NOT EXISTS (SELECT FROM {3} b WHERE b.from_s <= wanted AND wanted < b.to_s) THEN
      new_from := wanted / {2} * {2};
      new_to := new_from + {2};
      new_from := greatest(new_from, (SELECT max(b.to_s) FROM {3} b WHERE b.to_s <= wanted));
      new_to := least(new_to, (SELECT min(b.from_s) FROM {3} b WHERE b.from_s > wanted));
      bucket := format('idempotency_keys_%s_%s', new_from, new_to);
      EXECUTE format('CREATE TABLE %I (LIKE idempotency_keys INCLUDING ALL)', bucket);
      EXECUTE format('ALTER TABLE idempotency_keys ATTACH PARTITION %I '
                     'FOR VALUES FROM (%L) TO (%L)', bucket, to_timestamp(new_from),
                     to_timestamp(new_to));
    END IF;
  END LOOP;
END $ensure$)";

// The buckets with their bounds.
constexpr const char* kBuckets =
    "(SELECT c.relname, split_part(c.relname, '_', 3)::bigint AS from_s, "
    "split_part(c.relname, '_', 4)::bigint AS to_s "
    "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = 'idempotency_keys'::regclass)";

const pg::Statement kExpired{"idempotency_buckets_expired",
                             std::string("SELECT b.relname::text FROM ") + kBuckets +
                                 " b WHERE b.to_s <= floor(extract(epoch FROM now()))::bigint - $1 "
                                 "ORDER BY b.from_s"};

std::string ensure_sql(std::int32_t lock_space, Seconds width) {
  return fmt::format(kEnsure, lock_space, static_cast<std::int32_t>(Lock::partitions),
                     width.count(), kBuckets);
}

// One bucket in its own transaction. False when somebody is reading it.
Task<bool> drop(pg::Connection& connection, std::int32_t lock_space, std::string bucket) {
  std::string sql = fmt::format(
      "SET LOCAL lock_timeout = '100ms'; SELECT pg_advisory_xact_lock({}, {}); DROP TABLE IF "
      "EXISTS {}",
      lock_space, static_cast<std::int32_t>(Lock::partitions), bucket);
  bool dropped = true;
  try {
    co_await connection.exec(std::move(sql));
  } catch (const pg::Error& error) {
    if (error.sqlstate != "55P03") throw;
    dropped = false;
  }
  co_return dropped;
}

}  // namespace

Seconds bucket_width(Seconds ttl) {
  return std::max(kWidthMin, ttl);
}

Task<void> ensure_buckets(pg::Connection& connection, std::int32_t lock_space, Seconds ttl) {
  std::string sql = ensure_sql(lock_space, bucket_width(ttl));
  co_await connection.exec(std::move(sql));
}

Task<int> drop_expired_buckets(pg::Connection& connection, std::int32_t lock_space, Seconds ttl) {
  pg::Params params;
  params.i64(ttl.count());
  const pg::Result expired = co_await connection.run(kExpired, std::move(params));
  int count = 0;
  for (int row = 0; row < expired.rows(); ++row) {
    const bool dropped = co_await drop(connection, lock_space, std::string(expired.text(row, 0)));
    count += dropped ? 1 : 0;
  }
  if (count > 0) log::info("old idempotency keys dropped", {{"buckets", count}});
  co_return count;
}

}  // namespace eventhub::store
