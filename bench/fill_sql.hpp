#pragma once
#include <cstdint>
#include <string>
#include <string_view>

// Statements that fill the hub's tables while it runs. Each is one transaction that leaves the
// tables as the hub's own statements would.
namespace eventhub::bench {

// `count` events, accepted now; answers the last event_seq.
std::string insert_events_sql(std::string_view event_type, std::int64_t count);

// `count` partitions of `rows_each` events behind the last one.
std::string make_partitions_sql(int count, std::int64_t rows_each);

// Two messages of each event, delivered at the first attempt. Only for events that fan-out and
// every shard's low water have passed, and that have no messages.
std::string insert_history_sql(std::int64_t first, std::int64_t last, std::int64_t first_sid);

// The bucket of idempotency keys before the one of now, as the default time to live has them.
std::string make_key_bucket_sql();
// `count` random keys, half of them in that bucket, half in the one of now.
std::string insert_keys_sql(std::int64_t count);

inline constexpr const char* kAnalyze = "ANALYZE events, messages, delivery_attempts, parked";

}  // namespace eventhub::bench
