// Shard ownership. The dispatcher's owner loop calls it and hands what was taken to Lanes.
#include "eventhub/store/ownership.hpp"

#include <algorithm>
#include <map>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

const pg::Statement kRegister{
    "register_node",
    "INSERT INTO nodes AS n (node, name, roles, version, pid, backend_start, shards)"
    " SELECT $1, $2, $3, $4, a.pid, a.backend_start, 0 FROM pg_stat_get_activity(pg_backend_pid()) "
    "a"
    " ON CONFLICT (node) DO UPDATE SET pid = excluded.pid, backend_start = excluded.backend_start,"
    " shards = 0, heartbeat = clock_timestamp() RETURNING clock_timestamp()"};

const pg::Statement kHeartbeat{
    "heartbeat", "UPDATE nodes SET heartbeat = clock_timestamp(), shards = $2 WHERE node = $1"};

// Live: heard of lately and its session still exists (a killed process is gone at once).
const pg::Statement kNodes{
    "live_nodes",
    "SELECT count(*) FILTER (WHERE 'dispatcher' = ANY(n.roles)), "
    " (SELECT expire_below FROM sequencer), (SELECT version FROM subscribers_version),"
    " EXISTS (SELECT FROM subscriber_health), clock_timestamp(),"
    " (SELECT expunged FROM subscribers_version)"
    " FROM nodes n WHERE n.node <> $1 AND n.heartbeat > clock_timestamp() - interval '5 s'"
    " AND EXISTS (SELECT 1 FROM pg_stat_get_activity(n.pid) a"
    "  WHERE a.backend_start = n.backend_start)"};

const pg::Statement kFree{
    "free_shards",
    "SELECT s.shard FROM shards s WHERE NOT EXISTS (SELECT 1 FROM pg_locks l"
    " WHERE l.locktype = 'advisory' AND l.classid = $1::int8::oid AND l.objid = (100 + "
    "s.shard)::oid"
    " AND l.objsubid = 2 AND l.granted AND l.database ="
    "  (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) ORDER BY s.shard"};

const pg::Statement kLockShards{
    "lock_shards", "SELECT s FROM unnest($2::int2[]) s WHERE pg_try_advisory_lock($1, 100 + s)"};

// unclean: take-overs in a row from an owner that died; five quiet minutes begin anew. One that has
// a session lives, and only lost the one before.
const pg::Statement kTake{
    "take_shards",
    "WITH old AS (SELECT * FROM shards WHERE shard = ANY($1) FOR UPDATE),"
    " counted AS (UPDATE nodes SET shards = shards + cardinality($1) WHERE node = $2)"
    " UPDATE shards s SET owner = $2, clean = false, acquired_at = clock_timestamp(),"
    " unclean = CASE WHEN old.clean THEN 0 ELSE"
    "  CASE WHEN old.acquired_at < clock_timestamp() - interval '5 min' THEN 0"
    "   ELSE old.unclean END +"
    "  CASE WHEN EXISTS (SELECT FROM nodes n, pg_stat_get_activity(n.pid) a"
    "   WHERE n.node = old.owner AND a.backend_start = n.backend_start) THEN 0 ELSE 1 END END"
    " FROM old WHERE s.shard = old.shard"
    " RETURNING s.shard, s.lwm, NOT old.clean, s.unclean, old.owner IS NOT DISTINCT FROM $2"};

// Whoever took them meanwhile counted this process as dead.
const pg::Statement kAlive{
    "still_alive",
    "UPDATE shards SET unclean = unclean - 1 WHERE shard = ANY($1) AND owner <> $2 AND NOT clean"
    " AND unclean > 0"};

const pg::Statement kParkedSubscribers{
    "parked_subscribers",
    "WITH RECURSIVE k AS ("
    " SELECT s.shard, (SELECT min(p.sid) FROM parked p WHERE p.shard = s.shard) AS sid"
    "  FROM unnest($1::int2[]) s(shard)"
    " UNION ALL SELECT k.shard, (SELECT min(p.sid) FROM parked p WHERE p.shard = k.shard"
    "  AND p.sid > k.sid) FROM k WHERE k.sid IS NOT NULL)"
    " SELECT k.shard, k.sid, (SELECT count(*) FROM (SELECT FROM parked p WHERE p.shard = k.shard"
    "  AND p.sid = k.sid LIMIT 100000) few) FROM k WHERE k.sid IS NOT NULL"};

const pg::Statement kBlocking{
    "blocking_dead_letters",
    "SELECT d.shard, d.event_seq, d.sid, d.khash FROM dead_letter_queue d JOIN subscribers s USING "
    "(sid)"
    " WHERE d.shard = ANY($1) AND d.khash IS NOT NULL AND s.on_dead = 'block'"};

const pg::Statement kRelease{
    "release_shards",
    "UPDATE shards SET clean = $2, owner = CASE WHEN $2 THEN NULL ELSE owner END,"
    " unclean = CASE WHEN $2 THEN 0 ELSE unclean END WHERE shard = ANY($1)"};

const pg::Statement kUnlock{"unlock_shards",
                            "SELECT pg_advisory_unlock($1, 100 + s) FROM unnest($2::int2[]) s"};

const pg::Statement kLeave{"leave", "DELETE FROM nodes WHERE node = $1"};

}  // namespace

Task<void> Ownership::connect() {
  owned_.clear();
  heartbeat_sent_ = {};
  session_ = co_await context_.database.connect(Profile::lock);
  std::vector<std::string_view> roles(context_.config.roles.begin(), context_.config.roles.end());
  pg::Params params;
  params.uuid(context_.node).text(context_.config.worker_id).texts(roles).text(EVENTHUB_VERSION);
  const Mono sent = context_.clock.mono();
  const pg::Result registered = co_await session_->run(kRegister, std::move(params));
  clock_.told(registered.timestamp(0, 0), sent);
  if (lost_.empty()) co_return;
  const std::vector<std::int16_t> lost(lost_.begin(), lost_.end());
  pg::Params alive;
  alive.i16s(lost).uuid(context_.node);
  co_await session_->run(kAlive, std::move(alive));
  lost_.clear();
}

void Ownership::disconnect() {
  lost_.merge(owned_);
  owned_.clear();
  heartbeat_sent_ = {};
  session_.reset();
}

std::vector<pg::Call> Ownership::heartbeat() {
  std::vector<pg::Call> calls(2);
  calls[0].statement = &kHeartbeat;
  calls[0].params.uuid(context_.node).i32(static_cast<std::int32_t>(owned_.size()));
  calls[1].statement = &kNodes;
  calls[1].params.uuid(context_.node);
  return calls;
}

NodesSeen Ownership::heard(std::span<const pg::Result> results, Mono sent) {
  heartbeat_sent_ = sent;
  NodesSeen seen;
  const auto others = static_cast<int>(results[1].i64(0, 0));
  seen.dispatchers = others + 1;
  seen.remote_dispatchers = others > 0;
  seen.expire_below = results[1].i64(0, 1);
  seen.subscribers_version = results[1].i64(0, 2);
  seen.unhealthy = results[1].boolean(0, 3);
  clock_.told(results[1].timestamp(0, 4), sent);
  seen.expunged = results[1].i64(0, 5);
  return seen;
}

bool Ownership::may_send() const {
  return connected() && heartbeat_sent_ != Mono{} &&
         context_.clock.mono() < heartbeat_sent_ + context_.config.dispatcher.send_lease;
}

// Others may try the same shards at the same time, so each begins elsewhere.
Task<std::vector<std::int16_t>> Ownership::lock_free_shards(int count) {
  pg::Params space;
  space.i64(context_.database.lock_space());
  const pg::Result rows = co_await session_->run(kFree, std::move(space));
  std::vector<std::int16_t> free;
  for (int i = 0; i < rows.rows(); ++i) {
    if (!owned_.contains(rows.i16(i, 0))) free.push_back(rows.i16(i, 0));
  }
  if (free.empty()) co_return free;
  const std::size_t turn =
      (context_.node.bytes[15] + static_cast<std::size_t>(tried_from_++)) % free.size();
  std::rotate(free.begin(), free.begin() + static_cast<std::ptrdiff_t>(turn), free.end());
  if (free.size() > static_cast<std::size_t>(count)) free.resize(static_cast<std::size_t>(count));
  pg::Params params;
  params.i32(context_.database.lock_space()).i16s(free);
  const pg::Result locked = co_await session_->run(kLockShards, std::move(params));
  std::vector<std::int16_t> got;
  for (int i = 0; i < locked.rows(); ++i) got.push_back(locked.i16(i, 0));
  co_return got;
}

// Who was marked as the owner by us, and is not told so, has not waited for the one before.
Task<std::vector<Takeover>> Ownership::acquire(int count) {
  std::vector<Takeover> takeovers;
  const std::vector<std::int16_t> got = co_await lock_free_shards(count);
  if (got.empty()) co_return takeovers;
  EVENTHUB_FAULT_POINT("own.locked");
  std::set<std::int16_t> told;
  for (const std::int16_t shard : got) {
    if (told_.erase(shard) > 0) told.insert(shard);
  }
  pg::Params params;
  params.i16s(got).uuid(context_.node);
  const pg::Result rows = co_await session_->run(kTake, std::move(params));
  for (int i = 0; i < rows.rows(); ++i) {
    Takeover takeover;
    takeover.shard = rows.i16(i, 0);
    takeover.lwm = rows.i64(i, 1);
    const bool ours = rows.boolean(i, 4) && told.contains(takeover.shard);
    takeover.wait = rows.boolean(i, 2) && !ours;
    takeover.careful = rows.i32(i, 3) >= context_.config.dispatcher.careful_after;
    takeovers.push_back(std::move(takeover));
  }
  if (const auto careful = std::ranges::count(takeovers, true, &Takeover::careful); careful > 0) {
    log::warn("shards whose owners died several times in a row: careful mode",
              {{"shards", careful}});
  }
  co_await read_parked(takeovers);
  owned_.insert(got.begin(), got.end());
  EVENTHUB_FAULT_POINT("own.acquired");
  told_.insert(got.begin(), got.end());
  co_return takeovers;
}

Task<void> Ownership::read_parked(std::vector<Takeover>& takeovers) {
  std::map<std::int16_t, Takeover*> by_shard;
  std::vector<std::int16_t> shards;
  for (Takeover& takeover : takeovers) {
    by_shard[takeover.shard] = &takeover;
    shards.push_back(takeover.shard);
  }
  std::vector<pg::Call> calls(2);
  calls[0].statement = &kParkedSubscribers;
  calls[0].params.i16s(shards);
  calls[1].statement = &kBlocking;
  calls[1].params.i16s(shards);
  const std::vector<pg::Result> results = co_await session_->run_all(std::move(calls));
  for (int i = 0; i < results[0].rows(); ++i) {
    by_shard.at(results[0].i16(i, 0))->parked[results[0].i32(i, 1)] = results[0].i64(i, 2);
  }
  for (int i = 0; i < results[1].rows(); ++i) {
    LoadedMessage dead;
    dead.ref = {results[1].i64(i, 1), results[1].i32(i, 2)};
    dead.lane = {results[1].i16(i, 0), dead.ref.sid, results[1].optional_i64(i, 3)};
    by_shard.at(dead.lane.shard)->blocking.push_back(dead);
  }
}

Task<void> Ownership::release(std::vector<std::int16_t> shards, bool clean) {
  pg::Params mark;
  mark.i16s(shards).boolean(clean);
  co_await session_->run(kRelease, std::move(mark));
  EVENTHUB_FAULT_POINT("own.release");
  // Only now: the lock must outlive the mark's commit.
  pg::Params unlock;
  unlock.i32(context_.database.lock_space()).i16s(shards);
  co_await session_->run(kUnlock, std::move(unlock));
  for (const std::int16_t shard : shards) owned_.erase(shard);
}

Task<void> Ownership::leave() {
  EVENTHUB_FAULT_POINT("own.leave");
  pg::Params params;
  params.uuid(context_.node);
  co_await session_->run(kLeave, std::move(params));
}

}  // namespace eventhub::store
