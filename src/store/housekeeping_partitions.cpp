// Partitions: made ahead, dropped when nobody needs them. A partition goes as a whole or stays as a
// whole.
#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/housekeeping.hpp"

namespace eventhub::store {
namespace {

const pg::Statement kPartitionsLastSeq{"cleanup_last_seq", "SELECT last_value FROM event_seq"};

// The newest event of a range and whether it is past retention.
const pg::Statement kNewest{"cleanup_newest_event", R"(
SELECT event_seq, created_at < now() - make_interval(secs => $3)
FROM events WHERE event_seq >= $1 AND event_seq < $2 ORDER BY event_seq DESC LIMIT 1)"};

const pg::Statement kExpire{"cleanup_expire_below",
                            "UPDATE sequencer SET expire_below = $1 WHERE expire_below < $1"};

// What a partition waits for, as one expression and so of one snapshot; empty: it can go.
std::string hold_sql(std::string_view lower, std::string_view upper, std::string_view seconds) {
  return fmt::format(R"(
CASE WHEN (SELECT created_at >= now() - make_interval(secs => {2}) FROM events
           WHERE event_seq >= {0} AND event_seq < {1} ORDER BY event_seq DESC LIMIT 1)
       THEN 'retention'
     WHEN (SELECT cursor FROM sequencer) < {1} THEN 'fanout'
     WHEN (SELECT min(lwm) FROM shards) < {1} - 1 THEN 'dispatcher'
     WHEN EXISTS (SELECT FROM parked WHERE event_seq >= {0} AND event_seq < {1}) THEN 'parked'
     WHEN EXISTS (SELECT FROM redeliveries WHERE event_seq >= {0} AND event_seq < {1})
       THEN 'redelivery'
     ELSE '' END)",
                     lower, upper, seconds);
}

const pg::Statement kHold{"cleanup_hold",
                          "SELECT " + hold_sql("$1::int8", "$2::int8", "$3::float8")};

// Waits for no lock longer than 100 ms: everything else would queue behind it.
std::string drop_sql(const Partition& partition, Seconds retention) {
  const std::string hold =
      hold_sql(std::to_string(partition.lower), std::to_string(partition.upper),
               std::to_string(retention.count()));
  return fmt::format(R"(DO $$ BEGIN
PERFORM set_config('lock_timeout', '100ms', true);
IF ({1}) = '' THEN
  DROP TABLE events{0}, messages{0}, delivery_attempts{0};
  DELETE FROM partitions WHERE number = {2};
END IF;
END $$)",
                     partition.suffix(), hold, partition.number);
}

pg::Params range(const Partition& partition, Seconds retention) {
  pg::Params params;
  params.i64(partition.lower).i64(partition.upper);
  params.f64(static_cast<double>(retention.count()));
  return params;
}

}  // namespace

Task<void> Housekeeping::ensure_partitions() {
  const pg::Result last = co_await connection_->run(kPartitionsLastSeq, pg::Params{});
  co_await context_.partitions.ensure(last.i64(0, 0) + 1);
  co_await context_.partitions.reload();
  co_await warn_of_many();
}

Task<void> Housekeeping::warn_of_many() {
  const std::size_t count = context_.partitions.all().size();
  const auto most = static_cast<std::size_t>(context_.config.cleanup.partitions_max);
  if (count <= most) warned_at_ = 0;
  if (count <= most || count == warned_at_) co_return;
  warned_at_ = count;
  const Partition oldest = context_.partitions.all().front();
  const std::string held = co_await held_by(oldest);
  log::warn(
      "more partitions than cleanup.partitions_max; shorten cleanup.retention, or see to what "
      "holds the "
      "oldest: a fan-out or dispatcher that does not run, parked messages of a paused subscriber, "
      "a redelivery. A new schema can have larger cleanup.partition_rows",
      {{"partitions", count}, {"partitions_max", most}, {"oldest_held_by", held}});
}

// Ascending, up to the first partition with a young event. An empty one counts only with an old
// event behind it: its rows may still be on their way.
Task<void> Housekeeping::publish_expiry() {
  const Seconds retention = context_.config.cleanup.retention;
  const std::vector<Partition> all = context_.partitions.all();
  std::int64_t below = 0;
  for (const Partition& partition : all) {
    pg::Params params = range(partition, retention);
    const pg::Result newest = co_await connection_->run(kNewest, std::move(params));
    if (newest.rows() == 0) continue;
    if (!newest.boolean(0, 1)) break;
    below = newest.i64(0, 0) + 1;
  }
  if (below == 0) co_return;
  pg::Params params;
  params.i64(below);
  co_await connection_->run(kExpire, std::move(params));
}

Task<int> Housekeeping::drop_partitions() {
  int dropped = 0;
  const std::vector<Partition> all = context_.partitions.all();
  for (const Partition& partition : all) {
    const std::string held = co_await held_by(partition);
    if (held == "retention" || held == "fanout") break;  // so are all behind it
    if (!held.empty()) continue;
    const bool gone = co_await drop(partition);
    if (gone) ++dropped;
  }
  EVENTHUB_FAULT_POINT_IF(dropped > 0, "partition.dropped");
  if (dropped > 0) co_await context_.partitions.reload();
  co_return dropped;
}

Task<std::string> Housekeeping::held_by(Partition partition) {
  pg::Params params = range(partition, context_.config.cleanup.retention);
  const pg::Result hold = co_await connection_->run(kHold, std::move(params));
  co_return std::string(hold.text(0, 0));
}

// False when somebody uses the partition just now; the next round tries again.
Task<bool> Housekeeping::drop(Partition partition) {
  EVENTHUB_FAULT_POINT("partition.drop");
  try {
    co_await connection_->exec(drop_sql(partition, context_.config.cleanup.retention));
  } catch (const pg::Error& error) {
    if (error.connection_lost || error.sqlstate != "55P03") throw;
    log::info("a partition past retention is in use; trying again later",
              {{"partition", partition.number}});
    co_return false;
  }
  log::info(
      "partition dropped",
      {{"partition", partition.number}, {"lower", partition.lower}, {"upper", partition.upper}});
  co_return true;
}

}  // namespace eventhub::store
