// Writing one batch: what each fault of PostgreSQL means for its rows. A batch that is refused for
// its data is halved down to the one bad row; a missing partition is made and the batch repeated.
// Statements: ingest_sql.cpp.
#include <algorithm>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/idempotency_buckets.hpp"
#include "ingest_impl.hpp"
#include "ingest_sql.hpp"

namespace eventhub::store {
namespace {

constexpr int kRepeatsMax = 3;  // of a batch without a partition
constexpr int kLossesMax = 3;   // connections that one request may cost

struct Part {
  std::size_t from, to;
  int repeats = 0;
};

bool same_group(const WaitingPtr& a, const WaitingPtr& b) {
  return a->group != 0 && a->group == b->group;
}

// Where to halve rows of which PostgreSQL refuses one: between groups while there are several.
std::size_t middle_of(std::span<const WaitingPtr> rows) {
  const std::size_t middle = rows.size() / 2;
  std::size_t at = middle;
  while (at > 0 && same_group(rows[at - 1], rows[at])) --at;
  if (at > 0) return at;
  at = middle;
  while (at < rows.size() && (at == 0 || same_group(rows[at - 1], rows[at]))) ++at;
  return at < rows.size() ? at : middle;
}

}  // namespace

Task<void> Ingest::Impl::commit(Batch batch) {
  std::vector<Part> todo{{0, batch.size()}};
  while (!todo.empty()) {
    Part part = todo.back();
    todo.pop_back();
    const std::span<WaitingPtr> rows(batch.data() + part.from, part.to - part.from);
    if (connection == nullptr) {
      put_back(std::span<WaitingPtr>(batch.data() + part.from, batch.size() - part.from));
      co_return;
    }
    Fate fate = co_await write(rows);
    if (fate == Fate::again && ++part.repeats >= kRepeatsMax) fate = Fate::failed;
    switch (fate) {
      case Fate::done:
        settle(rows, std::nullopt);
        break;
      case Fate::split: {
        const std::size_t middle = part.from + middle_of(rows);
        if (rows.size() == 1) {
          settle(rows, AcceptError::refused);
        } else {
          todo.push_back({middle, part.to});
          todo.push_back({part.from, middle});
        }
        break;
      }
      case Fate::again:
        todo.push_back(part);
        break;
      case Fate::failed:
        settle(rows, AcceptError::unavailable);
        break;
      case Fate::unknown:
        settle(rows, AcceptError::unknown_outcome);
        break;
      case Fate::lost:
        for (auto& row : rows) ++row->losses;
        todo.push_back(part);  // put back with what follows, above
        break;
    }
  }
}

Task<Ingest::Impl::Fate> Ingest::Impl::write(std::span<WaitingPtr> rows) {
  Fate fate = Fate::done;
  std::int64_t last_seq = 0;
  try {
    const bool hands_over = context.config.has_role("dispatcher") || context.fans_out;
    const std::uint64_t generation = context.fresh_events.generation();
    auto calls = insert_calls(rows, context.database.lock_space(), hands_over);
    EVENTHUB_FAULT_POINT("api.before_insert");
    EVENTHUB_MUTATE("ack_before_commit", co_await queue.answer_early(rows));
    EVENTHUB_FAULT_BEFORE_COMMIT("api.after_insert_before_commit");
    const auto results = co_await connection->run_all(std::move(calls));
    Written written;
    last_seq = read_inserted(rows, results.back(), written);
    if (context.fans_out) tell_fanout(written);
    if (generation == context.fresh_events.generation()) hand_over(std::move(written.events));
  } catch (const pg::Error& error) {
    fate = fate_of(error, rows.size());
  }
  if (fate == Fate::done) committed(rows.size(), last_seq);
  if (fate == Fate::again) {
    const bool room = co_await make_room(rows.size());
    if (!room) fate = connection == nullptr ? Fate::lost : Fate::failed;
  }
  co_return fate;
}

Ingest::Impl::Fate Ingest::Impl::fate_of(const pg::Error& error, std::size_t rows) {
  Fate fate = Fate::failed;
  if (error.outcome_unknown) {
    fate = Fate::unknown;
  } else if (error.connection_lost) {
    fate = Fate::lost;
  } else if (error.missing_partition()) {
    fate = Fate::again;
  } else if (error.bad_data()) {
    fate = Fate::split;
  }
  const bool last_of_split = fate == Fate::split && rows == 1;
  if (fate == Fate::failed || fate == Fate::unknown || last_of_split) {
    log::warn(
        "events were not accepted",
        {{"rows", rows}, {"error", error.what()}, {"outcome_unknown", error.outcome_unknown}});
  }
  // Read-only (25), shutting down or out of something (53, 57P): another connection may do better.
  const bool sick = error.sqlstate.starts_with("25") || error.sqlstate.starts_with("53") ||
                    error.sqlstate.starts_with("57P");
  if (error.connection_lost || error.outcome_unknown || sick) connection.reset();
  return fate;
}

// The error does not tell which table lacks a partition in a way that survives translation: make
// both.
Task<bool> Ingest::Impl::make_room(std::size_t rows) {
  try {
    co_await ensure_buckets(*connection, context.database.lock_space(), config.idempotency_ttl);
    const pg::Result last = co_await connection->run(kIngestLastSeq, {});
    co_await context.partitions.ensure(last.i64(0, 0) + static_cast<std::int64_t>(rows));
    co_return true;
  } catch (const pg::Error& error) {
    log::error("cannot make a partition", {{"error", error.what()}});
    if (!connection->healthy()) connection.reset();
  }
  co_return false;
}

// The fan-out of this process; as much as it reads at once.
void Ingest::Impl::tell_fanout(const Written& written) {
  FreshHeaders::Batch batch;
  batch.subscribers_version = written.subscribers_version;
  batch.events.reserve(written.events.size());
  for (const Event& event : written.events) {
    batch.events.push_back({.event_seq = event.event_seq,
                            .event_type = event.event_type,
                            .organization_id = event.organization_id,
                            .user_id = event.user_id});
  }
  const auto rows = static_cast<std::size_t>(context.config.fanout.batch_rows_max);
  context.fresh_headers.add(std::move(batch), rows);
}

// To the dispatcher of this process; a part of what that may keep.
void Ingest::Impl::hand_over(std::vector<Event> written) {
  if (!context.config.has_role("dispatcher")) return;
  const std::int64_t bytes = context.config.dispatcher.payload_cache_bytes_max / 4;
  for (Event& event : written) {
    context.fresh_events.add(std::move(event), static_cast<std::size_t>(bytes));
  }
}

void Ingest::Impl::committed(std::size_t rows, std::int64_t last_seq) {
  context.metrics.batch("ingest", rows);
  if (last_seq == 0) return;  // replays, and events for later
  context.wakeups.notify(Signal::events);
  context.partitions.saw(last_seq);
}

// `error`: nullopt when the rows' results are set.
void Ingest::Impl::settle(std::span<WaitingPtr> rows, std::optional<AcceptError> error) {
  Batch settled(std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
  if (error) {
    for (auto& row : settled) row->result = *error;
  }
  queue.settle(std::move(settled));
}

// Nothing of these was committed: they wait for the next connection. A row that may be the death of
// servers gets an answer in the end.
void Ingest::Impl::put_back(std::span<WaitingPtr> rows) {
  Batch waiting_rows, given_up;
  for (auto& row : rows) {
    row->result = AcceptError::unavailable;
    (row->losses < kLossesMax ? waiting_rows : given_up).push_back(std::move(row));
  }
  if (!given_up.empty()) queue.settle(std::move(given_up));
  if (down) {
    queue.settle(std::move(waiting_rows));
  } else {
    queue.put_back(std::move(waiting_rows));
  }
}

}  // namespace eventhub::store
