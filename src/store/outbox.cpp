// From `outbox` to `events`: the function move_outbox() of the schema, and the partition it may
// lack. The loop that calls it is src/fanout/mover.cpp.
#include "eventhub/store/outbox.hpp"

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/idempotency_buckets.hpp"
#include "ingest_sql.hpp"

namespace eventhub::store {
namespace {

// Whether there is something to move, for a fraction of what it costs to try.
const pg::Statement kLook{"outbox_look",
                          "SELECT EXISTS (SELECT FROM outbox WHERE id > 0) OR EXISTS (SELECT FROM "
                          "outbox WHERE id < 0 AND due_at <= now())"};
const pg::Statement kMoveOutbox{
    "outbox_move", "SELECT taken, refused, last_seq, types FROM move_outbox($1, $2, $3, $4)"};

}  // namespace

Task<std::unique_ptr<Outbox>> Outbox::connect(Context& context) {
  LockSession session = co_await LockSession::open(context, Lock::outbox);
  // The planner believes what the last ANALYZE saw, which may be another table than today's.
  co_await session->exec("SET enable_seqscan = off");
  co_return std::unique_ptr<Outbox>(new Outbox(context, std::move(session)));
}

Task<bool> Outbox::move() {
  if (!more_) {
    const pg::Result found = co_await connection_->run(kLook, {});
    if (!found.boolean(0, 0)) co_return false;
  }
  bool lacking = false;
  std::optional<pg::Result> moved;
  try {
    moved = co_await try_move();
  } catch (const pg::Error& error) {
    if (error.connection_lost || !error.missing_partition()) throw;
    lacking = true;
  }
  if (lacking) {
    co_await make_room();
    moved = co_await try_move();
  }
  more_ = moved->i32(0, 0) > 0;
  if (more_) tell(*moved);
  co_return more_;
}

Task<pg::Result> Outbox::try_move() {
  const IngestConfig& config = context_.config.ingest;
  pg::Params params;
  params.i32(config.batch_rows_max)
      .i64(config.batch_bytes_max)
      .i32(context_.database.lock_space())
      .i32(static_cast<std::int32_t>(Lock::ordering));
  pg::Result moved = co_await connection_->run(kMoveOutbox, std::move(params));
  EVENTHUB_FAULT_POINT_IF(moved.i32(0, 0) > 0, "outbox.moved");
  co_return moved;
}

// Which table lacks one is not told: make both.
Task<void> Outbox::make_room() {
  const IngestConfig& config = context_.config.ingest;
  pg::Connection& connection = *connection_.operator->();
  co_await ensure_buckets(connection, context_.database.lock_space(), config.idempotency_ttl);
  const pg::Result last = co_await connection_->run(kIngestLastSeq, {});
  co_await context_.partitions.ensure(last.i64(0, 0) + config.batch_rows_max);
}

void Outbox::tell(const pg::Result& moved) {
  context_.metrics.batch("outbox", static_cast<std::size_t>(moved.i32(0, 0)));
  if (moved.i32(0, 1) > 0) {
    log::warn("published events are refused: their idempotency keys were used for others",
              {{"rows", moved.i32(0, 1)}, {"see", "table outbox_refused"}});
  }
  if (moved.is_null(0, 2)) return;  // known events only
  for (const std::string_view type : moved.texts(0, 3)) context_.metrics.event_received(type);
  context_.partitions.saw(moved.i64(0, 2));
  context_.wakeups.notify(Signal::events);
}

}  // namespace eventhub::store
