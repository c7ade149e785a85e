// The sequencer's session: lock, cursor and heartbeat. Reading is in sequencer_read.cpp, writing in
// sequencer_append.cpp; the loop that calls them is src/fanout/fanout.cpp.
#include "eventhub/store/sequencer.hpp"

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "store/sequencer_sql.hpp"

namespace eventhub::store {
namespace {

// The messages tell where the last owner ended; the saved cursor, how far events without any
// message were passed. Both are needed: without the second a new subscriber would get a month of
// unmatched events.
const pg::Statement kWhere{"fanout_where", R"(
SELECT (SELECT cursor FROM sequencer), coalesce((SELECT max(event_seq) FROM messages), 0))"};

const pg::Statement kNode{"fanout_node", R"(
INSERT INTO nodes (node, name, roles, version, heartbeat)
VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (node) DO UPDATE SET heartbeat = excluded.heartbeat)"};
const pg::Statement kNodeGone{"fanout_node_gone", "DELETE FROM nodes WHERE node = $1"};

const pg::Statement kListeners{"fanout_listeners", R"(
SELECT coalesce(bool_or('dispatcher' = ANY (roles)), false),
       coalesce(bool_or('fanout' = ANY (roles)), false)
FROM nodes WHERE node <> $1 AND heartbeat > clock_timestamp() - interval '5 s')"};

pg::Call node_call(const Context& context) {
  pg::Call call{&kNode, {}};
  const std::vector<std::string_view> roles(context.config.roles.begin(),
                                            context.config.roles.end());
  call.params.uuid(context.node).text(context.config.worker_id).texts(roles).text(EVENTHUB_VERSION);
  return call;
}

pg::Call call_with_node(const pg::Statement& statement, const Context& context) {
  pg::Call call{&statement, {}};
  call.params.uuid(context.node);
  return call;
}

// A dispatcher writes the row itself, with the session of its shards.
bool writes_node(const Context& context) {
  return !context.config.has_role("dispatcher");
}

}  // namespace

Task<std::unique_ptr<Sequencer>> Sequencer::connect(Context& context) {
  LockSession session = co_await LockSession::open(context, Lock::sequencer);
  // What the fan-out writes follows from events that are safe: what a crash of PostgreSQL takes
  // away it makes again, the same. And nothing that rests on it can be safe before it is: one log
  // holds both, in the order of their commits.
  co_await session->exec("SET synchronous_commit = off");
  co_return std::unique_ptr<Sequencer>(new Sequencer(context, std::move(session)));
}

Task<bool> Sequencer::try_acquire() {
  owner_ = co_await connection_.try_acquire();
  if (!owner_) co_return false;
  // Only now nobody else can add messages.
  const pg::Result where = co_await connection_->run(kWhere, pg::Params{});
  saved_cursor_ = where.i64(0, 0);
  cursor_ = std::max(saved_cursor_, where.i64(0, 1));
  current_.reset();
  next_.reset();
  co_await context_.partitions.reload();
  log::info("fan-out owns the sequence", {{"cursor", cursor_}});
  EVENTHUB_FAULT_POINT("fanout.acquired");
  co_return true;
}

Task<void> Sequencer::release() {
  std::vector<pg::Call> calls;
  if (owner_ && cursor_ != saved_cursor_) calls.push_back(save_cursor(cursor_));
  if (writes_node(context_)) calls.push_back(call_with_node(kNodeGone, context_));
  if (owner_) calls.push_back(connection_.unlock());
  if (calls.empty()) co_return;
  EVENTHUB_FAULT_POINT_IF(owner_, "fanout.release");
  co_await connection_->run_all(std::move(calls));
  if (owner_) log::info("fan-out gave the sequence up", {{"cursor", cursor_}});
  owner_ = false;
}

Task<void> Sequencer::heartbeat() {
  std::vector<pg::Call> calls;
  const bool save = owner_ && cursor_ != saved_cursor_;
  const std::int64_t through = cursor_;
  if (save) calls.push_back(save_cursor(through));
  if (writes_node(context_)) calls.push_back(node_call(context_));
  calls.push_back(call_with_node(kListeners, context_));
  const std::vector<pg::Result> results = co_await connection_->run_all(std::move(calls));
  if (save) moved(through, true);
  const pg::Result& listeners = results.back();
  context_.wakeups.set_remote(Signal::messages, listeners.boolean(0, 0));
  context_.wakeups.set_remote(Signal::events, !owner_ && listeners.boolean(0, 1));
}

pg::Call Sequencer::save_cursor(std::int64_t through) const {
  pg::Call call{&kSaveCursor, {}};
  call.params.i64(through);
  return call;
}

void Sequencer::moved(std::int64_t through, bool saved) {
  cursor_ = through;
  if (!saved) return;
  saved_cursor_ = through;
  saved_at_ = context_.clock.mono();
}

}  // namespace eventhub::store
