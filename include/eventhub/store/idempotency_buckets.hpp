#pragma once
#include <cstdint>

#include "eventhub/core/time.hpp"
#include "eventhub/pg/connection.hpp"

namespace eventhub::store {

// idempotency_keys is cut by time: `idempotency_keys_<from>_<to>` (Unix seconds of the database's
// clock) holds the keys made in [from, to). A key is looked up in all buckets that exist, so it
// lives at least `ttl` and at most one bucket longer. Both calls are safe against other processes
// (advisory lock).

// `ttl`, at least a minute: each bucket that lives is looked into for every key, so few and large
// ones (docs/performance.md).
Seconds bucket_width(Seconds ttl);

// Makes the buckets of now and of one width later, unless they are there.
Task<void> ensure_buckets(pg::Connection& connection, std::int32_t lock_space, Seconds ttl);

// Drops the buckets that ended more than `ttl` ago; returns how many. A bucket that is in use for
// longer than 100 ms (a long SELECT) stays for the next time.
Task<int> drop_expired_buckets(pg::Connection& connection, std::int32_t lock_space, Seconds ttl);

}  // namespace eventhub::store
