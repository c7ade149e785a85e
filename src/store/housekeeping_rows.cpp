// Rows of plain tables past their time, in small batches, and the BRIN indexes of the hot
// partitions.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/housekeeping.hpp"

namespace eventhub::store {
namespace {

constexpr std::int64_t kBatch = 1'000;
constexpr int kBatchesPerRound = 100;
constexpr std::size_t kSummarizeMax = 16;  // partitions in one round

// What is being sent again needs its payload. One that blocks its key is discarded by the key's
// owner.
const pg::Statement kDeleteLetters{"cleanup_delete_dead_letters", R"(
WITH old AS (
  SELECT d.event_seq, d.sid FROM dead_letter_queue d
  WHERE d.failed_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM redeliveries r WHERE r.event_seq = d.event_seq AND r.sid = d.sid)
  ORDER BY d.failed_at LIMIT $2 FOR UPDATE SKIP LOCKED),
blocking AS (
  INSERT INTO discards (event_seq, sid, shard, khash)
  SELECT d.event_seq, d.sid, d.shard, d.khash
  FROM old JOIN dead_letter_queue d USING (event_seq, sid) JOIN subscribers s USING (sid)
  WHERE s.on_dead = 'block' AND d.khash IS NOT NULL
  ON CONFLICT DO NOTHING)
DELETE FROM dead_letter_queue d USING old
WHERE d.event_seq = old.event_seq AND d.sid = old.sid
  AND (d.khash IS NULL OR NOT EXISTS (
    SELECT FROM subscribers s WHERE s.sid = d.sid AND s.on_dead = 'block')))"};

// The history of a redelivery lives as long as its partition, its dead letter or itself.
const pg::Statement kDeleteAttempts{"cleanup_delete_redelivery_attempts", R"(
WITH old AS (
  SELECT a.ctid FROM redelivery_attempts a
  WHERE a.event_seq < (SELECT min(lower) FROM partitions)
    AND NOT EXISTS (SELECT FROM dead_letter_queue d
                    WHERE d.event_seq = a.event_seq AND d.sid = a.sid)
    AND NOT EXISTS (SELECT FROM redeliveries r WHERE r.event_seq = a.event_seq AND r.sid = a.sid)
  ORDER BY a.event_seq LIMIT $1)
DELETE FROM redelivery_attempts a USING old WHERE a.ctid = old.ctid)"};

const pg::Statement kSummarize{"cleanup_summarize", R"(
SELECT brin_summarize_new_values(i.indexrelid::regclass)
FROM unnest($1::text[]) t(name)
JOIN pg_index i ON i.indrelid = to_regclass(t.name)
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname = 'brin')"};

// What failed at the beginning and at the end of that time, and was never delivered in between.
// Asked for first: an UPDATE of no row, too, makes every process load its subscribers.
const pg::Statement kFailing{"cleanup_failing", R"(
SELECT EXISTS (SELECT FROM subscriber_health h JOIN subscribers s USING (sid)
WHERE s.is_active AND NOT s.paused
  AND h.last_failure - h.failing_since >= make_interval(secs => $1)))"};
const pg::Statement kPauseFailing{"cleanup_pause_failing", R"(
UPDATE subscribers s SET paused = true, updated_at = now(),
  paused_reason = format('nothing but failures from %s to %s',
    to_char(h.failing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    to_char(h.last_failure AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
FROM subscriber_health h
WHERE h.sid = s.sid AND s.is_active AND NOT s.paused
  AND h.last_failure - h.failing_since >= make_interval(secs => $1)
RETURNING s.sid, s.paused_reason)"};

const pg::Statement kOperatorWaits{"cleanup_operator_waits",
                                   "SELECT EXISTS (SELECT FROM operator_events)"};
const pg::Statement kOperatorLock{"cleanup_operator_lock", "SELECT pg_advisory_xact_lock($1, $2)"};
const pg::Statement kOperatorMove{"cleanup_operator_move", R"(
WITH moved AS (
  DELETE FROM operator_events
  WHERE id IN (SELECT id FROM operator_events ORDER BY id LIMIT $1) RETURNING *)
INSERT INTO events (id, event_type, version, payload)
SELECT uuid_v7(), event_type, 'v1', payload::text FROM moved ORDER BY id)"};

const pg::Statement kRowsLastSeq{"cleanup_last_seq", "SELECT last_value FROM event_seq"};

}  // namespace

Task<std::int64_t> Housekeeping::delete_dead_letters() {
  std::int64_t deleted = 0;
  for (int batch = 0; batch < kBatchesPerRound; ++batch) {
    pg::Params params;
    params.f64(static_cast<double>(context_.config.cleanup.dlq_retention.count())).i64(kBatch);
    const pg::Result result = co_await connection_->run(kDeleteLetters, std::move(params));
    deleted += result.affected();
    EVENTHUB_FAULT_POINT_IF(deleted > 0, "cleanup.mid_batch");
    if (result.affected() < kBatch) break;
  }
  if (deleted > 0) log::info("dead letters past retention deleted", {{"rows", deleted}});
  co_return deleted;
}

Task<void> Housekeeping::delete_redelivery_attempts() {
  pg::Params params;
  params.i64(kBatch);
  co_await connection_->run(kDeleteAttempts, std::move(params));
}

Task<void> Housekeeping::pause_failing() {
  const Seconds limit = context_.config.webhook.pause_after_failing;
  if (limit == Seconds{0}) co_return;
  pg::Params params;
  params.f64(static_cast<double>(limit.count()));
  const pg::Result failing = co_await connection_->run(kFailing, params);
  if (!failing.boolean(0, 0)) co_return;
  const pg::Result paused = co_await connection_->run(kPauseFailing, std::move(params));
  for (int row = 0; row < paused.rows(); ++row) {
    log::warn("subscriber paused", {{"sid", paused.i32(row, 0)}, {"reason", paused.text(row, 1)}});
  }
  if (paused.rows() > 0) context_.wakeups.notify(Signal::control);
}

// One transaction, sent in one write, under the ordering lock like every acceptance.
Task<void> Housekeeping::publish_operator_events() {
  const pg::Result waits = co_await connection_->run(kOperatorWaits, pg::Params{});
  if (!waits.boolean(0, 0)) co_return;
  for (std::int64_t moved = kBatch; moved == kBatch;) {
    std::vector<pg::Call> calls(2);
    calls[0].statement = &kOperatorLock;
    calls[0].params.i32(context_.database.lock_space());
    calls[0].params.i32(static_cast<std::int32_t>(Lock::ordering));
    calls[1].statement = &kOperatorMove;
    calls[1].params.i64(kBatch);
    const std::vector<pg::Result> results = co_await connection_->run_all(std::move(calls));
    moved = results[1].affected();
    context_.wakeups.notify(Signal::events);
  }
}

// The partition that is written now and the one before it; more when they went by quickly.
Task<void> Housekeeping::summarize_indexes() {
  const pg::Result last = co_await connection_->run(kRowsLastSeq, pg::Params{});
  const std::optional<Partition> newest = co_await context_.partitions.find(last.i64(0, 0));
  if (!newest) co_return;
  const std::int32_t from =
      std::min(summarized_ < 0 ? newest->number : summarized_, newest->number - 1);
  std::vector<std::string> names;
  for (const Partition& partition : context_.partitions.all()) {
    if (partition.number < from || partition.number > newest->number) continue;
    if (names.size() >= 2 * kSummarizeMax) break;
    names.push_back("events" + partition.suffix());
    names.push_back("delivery_attempts" + partition.suffix());
    summarized_ = partition.number;
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  pg::Params params;
  params.texts(views);
  co_await connection_->run(kSummarize, std::move(params));
}

}  // namespace eventhub::store
