// The dispatcher's reads of `messages`. Windows, never pages; the partition is in the statement's
// text, so a read touches one table however many there are.
#include "eventhub/store/feed.hpp"
#include "eventhub/core/fault.hpp"

#include <algorithm>
#include <array>

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

pg::Statement of_partition(const std::string& family, const std::string& suffix, std::string text) {
  EVENTHUB_MUTATE("paged_reads", text += " LIMIT 10");
  return {family + suffix, std::move(text), family};
}

pg::Params window_params(std::int64_t after, std::int64_t end,
                         const std::vector<std::int16_t>& shards) {
  pg::Params params;
  params.i64(after).i64(end).i16s(shards);
  return params;
}

std::vector<FedMessage> messages_of(const pg::Result& rows, bool with_attempts) {
  std::vector<FedMessage> messages(static_cast<std::size_t>(rows.rows()));
  for (int i = 0; i < rows.rows(); ++i) {
    FedMessage& fed = messages[static_cast<std::size_t>(i)];
    fed.message = {{rows.i64(i, 0), rows.i32(i, 1)}, rows.i16(i, 2), rows.optional_i64(i, 3)};
    if (!with_attempts) continue;
    fed.attempt = rows.i16(i, 4);
    fed.started = rows.boolean(i, 5);
    fed.due_at = rows.optional_timestamp(i, 6);
  }
  return messages;
}

}  // namespace

Task<std::optional<pg::Statement>> MessageFeed::horizon_statement(std::int64_t after) {
  Partitions& partitions = context_.partitions;
  std::optional<Partition> here = co_await partitions.find(after + 1);
  if (!here) here = co_await partitions.next_from(after + 1);
  if (!here) co_return std::nullopt;
  const std::optional<Partition> next = partitions.cached(here->upper);
  const std::string suffix = here->suffix();
  const std::string next_suffix = next ? next->suffix() : "";
  co_return of_partition("feed_horizon", suffix + next_suffix, horizon_text(suffix, next_suffix));
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
  const std::optional<pg::Statement> look = co_await horizon_statement(after);
  if (!look) co_return after;
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

Task<std::optional<Partition>> MessageFeed::begin(FeedWindow& window, std::int64_t after,
                                                  int events) {
  window.end = co_await end_of_window(after, events);
  window.subscribers_version = version_;
  if (window.end <= after) co_return std::nullopt;
  co_return context_.partitions.cached(after + 1);
}

// The subscribers that they were matched with are those of this process.
std::optional<FeedWindow> MessageFeed::take_fresh(std::int64_t after, int events,
                                                  const std::vector<std::int16_t>& shards) {
  const std::optional<FreshMessages::Window> fresh = context_.fresh_messages.take(after, events);
  if (!fresh) return std::nullopt;
  std::array<bool, kShards> wanted{};
  for (const std::int16_t shard : shards) wanted[static_cast<std::size_t>(shard)] = true;
  FeedWindow window;
  window.end = fresh->end;
  window.more = fresh->more;
  window.subscribers_version = context_.subscribers.current()->version;
  window.messages.reserve(fresh->messages.size());
  for (const Message& message : fresh->messages) {
    if (!wanted[static_cast<std::size_t>(message.shard)]) continue;
    window.messages.push_back({.message = message});
  }
  horizon_ = std::max(horizon_, window.end);
  return window;
}

Task<FeedWindow> MessageFeed::read(std::int64_t after, int events,
                                   const std::vector<std::int16_t>& shards) {
  std::optional<FeedWindow> fresh = take_fresh(after, events, shards);
  if (fresh) co_return std::move(*fresh);
  FeedWindow window;
  // What this process fanned out itself needs no question; the version comes with the rows.
  horizon_ = std::max(horizon_, context_.local_horizon);
  const std::optional<Partition> partition = co_await begin(window, after, events);
  if (!partition) co_return window;
  const std::string suffix = partition->suffix();
  const pg::Statement select = of_partition("feed_messages", suffix, read_text(suffix));
  const std::optional<pg::Statement> look = co_await horizon_statement(window.end);
  std::vector<pg::Call> calls;
  calls.push_back({&select, window_params(after, window.end, shards)});
  if (look) calls.push_back({&*look, {}});
  const std::vector<pg::Result> results = co_await connection_.run_all(std::move(calls));
  window.messages = messages_of(results[0], false);
  if (look) take_horizon(results[1]);
  window.more = horizon_ > window.end;
  window.subscribers_version = version_;
  co_return window;
}

Task<FeedWindow> MessageFeed::rebuild(std::int64_t after, int events,
                                      const std::vector<std::int16_t>& shards) {
  FeedWindow window;
  const std::optional<Partition> partition = co_await begin(window, after, events);
  if (!partition) co_return window;
  const std::string suffix = partition->suffix();
  const pg::Statement select = of_partition("feed_rebuild", suffix, rebuild_text(suffix));
  pg::Params params = window_params(after, window.end, shards);
  const pg::Result rows = co_await connection_.run(select, std::move(params));
  window.messages = messages_of(rows, true);
  co_return window;
}

}  // namespace eventhub::store
