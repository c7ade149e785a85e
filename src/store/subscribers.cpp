// Reads the table `subscribers` as one snapshot with its version; each row goes through
// subscriber_row.cpp. The fan-out and the dispatcher call refresh() when a feed shows another
// version.
#include "eventhub/store/subscribers.hpp"

#include "eventhub/core/log.hpp"
#include "store/subscriber_row.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kLoadWait{1'000};  // how long a caller waits before it looks again

// One statement, so version and rows come from one snapshot. No rows when the version is the known
// one. Whatever hand-made rows may hold (NULLs, headers that are no object) is made readable here.
const pg::Statement kLoad{"subscribers_load", R"(
SELECT v.version, s.sid, s.id, s.name,
       array_remove(ARRAY[s.event_type] || s.event_types, NULL) AS patterns,
       s.webhook_url, s.delivery_guarantee, s.ordering_enabled, s.ordering_key,
       s.retry_limit, s.retry_backoff_seconds, s.retry_jitter, s.is_active, s.paused, s.on_dead,
       s.max_in_flight, s.timeout_ms, s.body, jsonb_typeof(s.headers) = 'object' AS headers_ok,
       h.names, h.texts, h.others, s.secret,
       CASE WHEN s.previous_secret_until > now() THEN s.previous_secret END,
       CASE WHEN isfinite(s.previous_secret_until) THEN s.previous_secret_until END, s.spread,
       s.rate_limit, s.circuit_failures, s.circuit_open_ms, s.retry_statuses,
       s.organization_id, s.filter::text
FROM subscribers_version v
LEFT JOIN subscribers s ON v.version <> $1
LEFT JOIN LATERAL (
  SELECT coalesce(array_agg(e.key) FILTER (WHERE jsonb_typeof(e.value) = 'string'), '{}') AS names,
         coalesce(array_agg(e.value #>> '{}') FILTER (WHERE jsonb_typeof(e.value) = 'string'), '{}')
           AS texts,
         count(*) FILTER (WHERE jsonb_typeof(e.value) <> 'string') AS others
  FROM jsonb_each(CASE WHEN jsonb_typeof(s.headers) = 'object' THEN s.headers ELSE '{}' END) e
) h ON true)"};

const pg::Statement kPause{"subscribers_pause", R"(
UPDATE subscribers SET paused = true, paused_reason = $2, updated_at = now()
WHERE sid = $1 AND NOT paused)"};

SubscriberSetPtr read_all(const pg::Result& result, const SecretBox& box) {
  auto set = std::make_shared<SubscriberSet>();
  set->version = result.i64(0, 0);
  for (int row = 0; row < result.rows(); ++row) {
    if (result.is_null(row, 1)) continue;  // the table is empty
    SubscriberPtr subscriber = read_subscriber(result, row, box);
    set->by_sid.emplace(subscriber->sid, std::move(subscriber));
  }
  return set;
}

}  // namespace

// A load that was begun before the call may have read an older version, so only a later one counts.
Task<SubscriberSetPtr> Subscribers::refresh() {
  const std::int64_t wanted = begun_ + 1;
  while (finished_ < wanted) {
    if (loading_) {
      co_await loaded_.wait(kLoadWait);
    } else {
      co_await load();
    }
  }
  co_return current_;
}

Task<void> Subscribers::load() {
  loading_ = true;
  const std::int64_t number = ++begun_;
  try {
    Database::Lease lease = co_await database_.lease();
    pg::Params params;
    params.i64(current_->version);
    const pg::Result result = co_await lease->run(kLoad, std::move(params));
    if (result.rows() == 0) throw std::runtime_error("the table subscribers_version is empty");
    if (result.i64(0, 0) != current_->version) {
      current_ = read_all(result, box_);
      log::info("subscribers loaded",
                {{"version", current_->version}, {"subscribers", current_->by_sid.size()}});
    }
    finished_ = number;
  } catch (...) {
    loading_ = false;
    loaded_.set();
    throw;
  }
  loading_ = false;
  loaded_.set();
}

Task<void> Subscribers::pause(std::int32_t sid, std::string reason) {
  Database::Lease lease = co_await database_.lease();
  pg::Params params;
  params.i32(sid).text(reason);
  const pg::Result result = co_await lease->run(kPause, std::move(params));
  if (result.affected() > 0) {
    log::warn("subscriber paused", {{"sid", sid}, {"reason", reason}});
  }
}

}  // namespace eventhub::store
