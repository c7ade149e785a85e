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

// {0} lock space, {1} lock, {2} width. LIKE and ATTACH instead of PARTITION OF: no exclusive lock
// on the parent.
constexpr const char* kEnsure = R"(DO $ensure$
DECLARE
  wanted bigint; lo bigint; hi bigint; bucket text; half int;
BEGIN
  PERFORM pg_advisory_xact_lock({0}, {1});
  FOR half IN 0..1 LOOP
    wanted := floor(extract(epoch FROM now()))::bigint + half * {2};
    IF NOT EXISTS (SELECT FROM idempotency_buckets_of() b
                   WHERE b.lo <= wanted AND wanted < b.hi) THEN
      lo := wanted / {2} * {2};
      hi := lo + {2};
      SELECT greatest(lo, max(b.hi)) INTO lo FROM idempotency_buckets_of() b WHERE b.hi <= wanted;
      SELECT least(hi, min(b.lo)) INTO hi FROM idempotency_buckets_of() b WHERE b.lo > wanted;
      bucket := format('idempotency_keys_%s_%s', lo, hi);
      EXECUTE format('CREATE TABLE %I (LIKE idempotency_keys INCLUDING ALL)', bucket);
      EXECUTE format('ALTER TABLE idempotency_keys ATTACH PARTITION %I '
                     'FOR VALUES FROM (%L) TO (%L)', bucket, to_timestamp(lo), to_timestamp(hi));
    END IF;
  END LOOP;
END $ensure$)";

constexpr const char* kBounds =
    "(SELECT c.oid, c.relname, split_part(c.relname, '_', 3)::bigint AS lo, "
    "split_part(c.relname, '_', 4)::bigint AS hi FROM pg_inherits i JOIN pg_class c ON c.oid = "
    "i.inhrelid "
    "WHERE i.inhparent = 'idempotency_keys'::regclass)";

const pg::Statement kExpired{
    "idempotency_buckets_expired",
    std::string("SELECT b.relname::text FROM ") + kBounds +
        " b WHERE b.hi <= floor(extract(epoch FROM now()))::bigint - $1 ORDER BY b.lo"};

std::string ensure_sql(std::int32_t lock_space, Seconds width) {
  std::string text =
      fmt::format(kEnsure, lock_space, static_cast<std::int32_t>(Lock::partitions), width.count());
  const std::string_view call = "idempotency_buckets_of()";
  for (auto at = text.find(call); at != std::string::npos; at = text.find(call)) {
    text.replace(at, call.size(), kBounds);
  }
  return text;
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
  return std::max(kWidthMin, ttl / 4);
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
