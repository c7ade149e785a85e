// The dispatcher's reads of `messages`. Windows, never pages; the partition is in the statement's
// text, so a read touches one table however many there are.
#include "eventhub/store/feed.hpp"

#include <algorithm>

namespace eventhub::store {
namespace {

// Everything up to sequencer.cursor is fanned out; rows of messages appear in ascending order. Both
// are only lower bounds of the truth, which is all that is needed.
std::string horizon_text(const std::string& here, const std::string& next) {
  std::string text = "SELECT greatest(s.cursor, (SELECT max(event_seq) FROM messages" + here + ")";
  if (!next.empty()) text += ", (SELECT max(event_seq) FROM messages" + next + ")";
  return text + "), v.version FROM sequencer s, subscribers_version v";
}

const pg::Statement kEnd{"feed_end",
                         "SELECT greatest(s.cursor, (SELECT max(event_seq) FROM messages))"
                         " FROM sequencer s"};

std::string read_text(const std::string& suffix) {
  return "SELECT event_seq, sid, shard, khash FROM messages" + suffix +
         " WHERE event_seq > $1 AND event_seq <= $2 AND shard = ANY($3) ORDER BY event_seq, sid";
}

std::string rebuild_text(const std::string& suffix) {
  return "SELECT m.event_seq, m.sid, m.shard, m.khash, coalesce(a.attempt, 0::smallint),"
         " coalesce(a.open_start, false), a.due"
         " FROM messages" +
         suffix +
         " m LEFT JOIN ("
         "  SELECT event_seq, sid, max(attempt) AS attempt, bool_or(outcome NOT IN (2, 4)) AS "
         "final,"
         "   coalesce(max(attempt) FILTER (WHERE outcome = 4), 0)"
         "    > coalesce(max(attempt) FILTER (WHERE outcome <> 4), 0) AS open_start,"
         "   max(next_attempt_at) AS due"
         "  FROM delivery_attempts" +
         suffix +
         "  WHERE event_seq > $1 AND event_seq <= $2 AND shard = ANY($3)"
         "  GROUP BY event_seq, sid) a ON a.event_seq = m.event_seq AND a.sid = m.sid"
         " LEFT JOIN parked p ON p.event_seq = m.event_seq AND p.sid = m.sid"
         " WHERE m.event_seq > $1 AND m.event_seq <= $2 AND m.shard = ANY($3)"
         "  AND coalesce(a.final, false) = false AND p.event_seq IS NULL"
         " ORDER BY m.event_seq, m.sid";
}

}  // namespace

pg::Statement* MessageFeed::statement(const std::string& name, std::string text) {
  auto& slot = statements_[name];
  if (!slot) slot = std::make_unique<pg::Statement>(pg::Statement{name, std::move(text)});
  return slot->text.empty() ? nullptr : slot.get();
}

Task<pg::Statement*> MessageFeed::horizon_statement(std::int64_t after) {
  Partitions& partitions = context_.partitions;
  std::optional<Partition> here = co_await partitions.find(after + 1);
  if (!here) here = co_await partitions.next_from(after + 1);
  if (!here) co_return nullptr;
  const std::optional<Partition> next = partitions.cached(here->upper);
  const std::string suffix = here->suffix();
  const std::string next_suffix = next ? next->suffix() : "";
  co_return statement("feed_horizon" + suffix + next_suffix, horizon_text(suffix, next_suffix));
}

void MessageFeed::take_horizon(const pg::Result& result) {
  horizon_ = std::max(horizon_, result.i64(0, 0));
  version_ = result.i64(0, 1);
}

Task<std::int64_t> MessageFeed::end_of_messages() {
  const pg::Result result = co_await connection_.run(kEnd, pg::Params{});
  co_return result.i64(0, 0);
}

Task<std::int64_t> MessageFeed::horizon(std::int64_t after) {
  pg::Statement* look = co_await horizon_statement(after);
  if (look == nullptr) co_return after;
  pg::Params none;
  const pg::Result result = co_await connection_.run(*look, std::move(none));
  take_horizon(result);
  co_return horizon_;
}

Task<std::int64_t> MessageFeed::end_of_window(std::int64_t after, int events) {
  if (horizon_ <= after) {
    const std::int64_t seen = co_await horizon(after);
    if (seen <= after) co_return after;
  }
  const std::optional<Partition> partition = co_await context_.partitions.find(after + 1);
  if (partition) co_return std::min({horizon_, after + events, partition->upper - 1});
  // Dropped, or a range that never was: nothing in it is open.
  const std::optional<Partition> next = co_await context_.partitions.next_from(after + 1);
  co_return next ? std::min(horizon_, next->lower - 1) : horizon_;
}

Task<FeedWindow> MessageFeed::read(std::int64_t after, int events,
                                   const std::vector<std::int16_t>& shards) {
  FeedWindow window;
  window.end = co_await end_of_window(after, events);
  window.subscribers_version = version_;
  const std::optional<Partition> partition = context_.partitions.cached(after + 1);
  if (window.end <= after || !partition) co_return window;
  const std::string suffix = partition->suffix();
  pg::Params params;
  params.i64(after).i64(window.end).i16s(shards);
  std::vector<pg::Call> calls;
  calls.push_back({statement("feed_messages" + suffix, read_text(suffix)), std::move(params)});
  pg::Statement* look = co_await horizon_statement(window.end);
  if (look != nullptr) calls.push_back({look, {}});
  const std::vector<pg::Result> results = co_await connection_.run_all(std::move(calls));
  const pg::Result& rows = results[0];
  window.messages.reserve(static_cast<std::size_t>(rows.rows()));
  for (int i = 0; i < rows.rows(); ++i) {
    FedMessage fed;
    fed.message = {{rows.i64(i, 0), rows.i32(i, 1)}, rows.i16(i, 2), rows.optional_i64(i, 3)};
    window.messages.push_back(fed);
  }
  if (results.size() > 1) take_horizon(results[1]);
  window.subscribers_version = version_;
  co_return window;
}

Task<FeedWindow> MessageFeed::rebuild(std::int64_t after, int events,
                                      const std::vector<std::int16_t>& shards) {
  FeedWindow window;
  window.end = co_await end_of_window(after, events);
  window.subscribers_version = version_;
  const std::optional<Partition> partition = context_.partitions.cached(after + 1);
  if (window.end <= after || !partition) co_return window;
  const std::string suffix = partition->suffix();
  pg::Params params;
  params.i64(after).i64(window.end).i16s(shards);
  pg::Statement* select = statement("feed_rebuild" + suffix, rebuild_text(suffix));
  const pg::Result rows = co_await connection_.run(*select, std::move(params));
  window.messages.reserve(static_cast<std::size_t>(rows.rows()));
  for (int i = 0; i < rows.rows(); ++i) {
    FedMessage fed;
    fed.message = {{rows.i64(i, 0), rows.i32(i, 1)}, rows.i16(i, 2), rows.optional_i64(i, 3)};
    fed.attempt = rows.i16(i, 4);
    fed.started = rows.boolean(i, 5);
    fed.due_at = rows.optional_timestamp(i, 6);
    window.messages.push_back(fed);
  }
  co_return window;
}

}  // namespace eventhub::store
