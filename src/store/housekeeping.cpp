// The cleanup session: its lock, dead nodes and gauges. Partitions are in
// housekeeping_partitions.cpp, rows in housekeeping_rows.cpp; the round that calls them is
// src/cleanup/cleanup.cpp.
#include "eventhub/store/housekeeping.hpp"

#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

// A recorded backend that is gone, or whose pid is another's by now, has no row here.
const pg::Statement kSilent{"cleanup_silent_nodes", R"(
SELECT n.pid, n.backend_start, n.name
FROM nodes n JOIN pg_stat_activity a ON a.pid = n.pid AND a.backend_start = n.backend_start
WHERE n.shards > 0 AND n.heartbeat < clock_timestamp() - make_interval(secs => $1))"};
// Frozen in the middle of a write: what it has executed keeps its locks, and the rest does not
// come. That is not idle, so idle_session_timeout does not see it.
const pg::Statement kStalled{"cleanup_stalled_sessions", R"(
SELECT DISTINCT a.pid, a.backend_start, a.application_name
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = $1::int8::oid
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  AND a.state = 'active' AND a.wait_event = 'ClientRead'
  AND a.state_change < clock_timestamp() - make_interval(secs => $2))"};
const pg::Statement kTerminate{"cleanup_terminate", R"(
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2)"};

const pg::Statement kForget{
    "cleanup_forget_nodes",
    "DELETE FROM nodes WHERE heartbeat < clock_timestamp() - interval '1 hour'"};

// Counted up to a bound; a larger table is estimated.
const pg::Statement kGauges{"cleanup_gauges", R"(
SELECT CASE WHEN n <= 100000 THEN n
            ELSE greatest(n, (SELECT reltuples::bigint FROM pg_class
                              WHERE oid = 'dead_letter_queue'::regclass)) END,
       CASE WHEN p <= 100000 THEN p
            ELSE greatest(p, (SELECT reltuples::bigint FROM pg_class
                              WHERE oid = 'parked'::regclass)) END
FROM (SELECT count(*) AS n FROM (SELECT FROM dead_letter_queue LIMIT 100001) s) dead,
     (SELECT count(*) AS p FROM (SELECT FROM parked LIMIT 100001) s) held)"};

double seconds(Millis duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Task<std::unique_ptr<Housekeeping>> Housekeeping::connect(Context& context) {
  LockSession session = co_await LockSession::open(context, Lock::cleanup);
  co_return std::unique_ptr<Housekeeping>(new Housekeeping(context, std::move(session)));
}

Task<void> Housekeeping::end_dead_sessions() {
  std::vector<pg::Call> calls(2);
  calls[0].statement = &kSilent;
  calls[0].params.f64(seconds(context_.config.dispatcher.dead_node_after));
  calls[1].statement = &kStalled;
  calls[1].params.i64(context_.database.lock_space());
  calls[1].params.f64(seconds(context_.config.dispatcher.idle_session_timeout));
  const std::vector<pg::Result> results = co_await connection_->run_all(std::move(calls));
  std::vector<Backend> still_there;
  for (const pg::Result& found : results) {
    if (EVENTHUB_MUTANT("stalled_sessions_stay") && &found == &results[1]) continue;
    for (int row = 0; row < found.rows(); ++row) {
      const Backend backend{found.i32(row, 0), found.timestamp(row, 1)};
      still_there.push_back(backend);
      const bool told = std::ranges::find(ended_, backend) != ended_.end();
      if (!told) co_await end_session(backend, std::string(found.text(row, 2)));
    }
  }
  ended_ = std::move(still_there);
}

Task<void> Housekeeping::end_session(Backend backend, std::string node) {
  log::warn("a session is silent; ending it so that others get what it has locked",
            {{"node", node}, {"pid", backend.pid}});
  pg::Params params;
  params.i32(backend.pid).timestamp(backend.started);
  co_await connection_->run(kTerminate, std::move(params));
}

Task<void> Housekeeping::forget_nodes() {
  co_await connection_->run(kForget, pg::Params{});
}

Task<void> Housekeeping::export_gauges() {
  const pg::Result letters = co_await connection_->run(kGauges, pg::Params{});
  context_.metrics.dlq_size(static_cast<double>(letters.i64(0, 0)));
  context_.metrics.parked(static_cast<double>(letters.i64(0, 1)));
  context_.metrics.partitions(static_cast<double>(context_.partitions.all().size()));
}

}  // namespace eventhub::store
