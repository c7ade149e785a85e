// One event with a message that PostgreSQL refuses: the good ones and a dead letter for the bad one
// are committed together, so that nobody ever sees half of an event.
#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/sequencer.hpp"
#include "store/sequencer_sql.hpp"

namespace eventhub::store {
namespace {

const pg::Statement kEventId{"fanout_event_id", "SELECT id FROM events WHERE event_seq = $1"};

const pg::Statement kAttempt{"fanout_dead_attempt", R"(
INSERT INTO delivery_attempts (event_seq, sid, shard, attempt, outcome, attempted_at, error)
VALUES ($1, $2, $3, 0, 3, clock_timestamp(), $4))"};

const pg::Statement kDeadLetter{"fanout_dead_letter", R"(
INSERT INTO dead_letter_queue (event_seq, sid, shard, khash, message_id, event_id, outcome, reason,
  last_error, attempts, event_type, version, organization_id, user_id, payload, accepted_at,
  subscriber_snapshot)
SELECT e.event_seq, $2, $3, $4, $5, e.id, 3, 'internal', $6, 0, e.event_type, e.version,
       e.organization_id, e.user_id, e.payload, e.created_at,
       (SELECT to_jsonb(s) - 'secret' - 'previous_secret' - 'headers' FROM subscribers s
        WHERE s.sid = $2)
FROM events e WHERE e.event_seq = $1)"};

}  // namespace

Task<void> Sequencer::insert_one_event(std::span<const Message> messages, std::int64_t through) {
  co_await connection_->exec("BEGIN");
  co_await insert_or_bury(messages);
  pg::Call save = save_cursor(through);
  co_await connection_->run(*save.statement, std::move(save.params));
  co_await connection_->exec("COMMIT");
  moved(through, true);
}

Task<void> Sequencer::insert_or_bury(std::span<const Message> messages) {
  const std::optional<pg::Error> refused = co_await insert_within(messages);
  if (!refused) co_return;
  if (messages.size() == 1 && refused->sqlstate == "23505") {
    log::error("a message exists already; it is left as it is",
               {{"event_seq", messages[0].ref.event_seq}, {"sid", messages[0].ref.sid}});
    co_return;
  }
  if (messages.size() == 1) {
    co_await bury(messages.front(), refused->what());
    co_return;
  }
  const std::size_t half = messages.size() / 2;
  co_await insert_or_bury(messages.first(half));
  EVENTHUB_FAULT_POINT("fanout.half_messages");
  co_await insert_or_bury(messages.subspan(half));
}

Task<std::optional<pg::Error>> Sequencer::insert_within(std::span<const Message> messages) {
  std::optional<pg::Error> refused;
  co_await connection_->exec("SAVEPOINT rows");
  pg::Call insert = insert_messages(messages);
  try {
    co_await connection_->run(*insert.statement, std::move(insert.params));
  } catch (const pg::Error& error) {
    if (error.connection_lost || !error.bad_data()) throw;
    refused = error;
  }
  co_await connection_->exec(refused ? "ROLLBACK TO SAVEPOINT rows" : "RELEASE SAVEPOINT rows");
  co_return refused;
}

// The dead letter is the only trace of the message; when it is refused as well, the log is.
Task<void> Sequencer::bury(Message message, std::string error) {
  log::error("a message cannot be stored and becomes a dead letter",
             {{"event_seq", message.ref.event_seq}, {"sid", message.ref.sid}, {"error", error}});
  context_.metrics.internal_error("fanout");
  std::string failure;
  co_await connection_->exec("SAVEPOINT letter");
  try {
    co_await write_dead_letter(message, std::move(error));
  } catch (const pg::Error& second) {
    if (second.connection_lost) throw;
    failure = second.what();
  }
  co_await connection_->exec(failure.empty() ? "RELEASE SAVEPOINT letter"
                                             : "ROLLBACK TO SAVEPOINT letter");
  if (failure.empty()) co_return;
  log::error("the dead letter cannot be stored either; the message is lost",
             {{"event_seq", message.ref.event_seq}, {"sid", message.ref.sid}, {"error", failure}});
}

Task<void> Sequencer::write_dead_letter(Message message, std::string error) {
  pg::Params seq;
  seq.i64(message.ref.event_seq);
  const pg::Result event = co_await connection_->run(kEventId, std::move(seq));
  if (event.rows() == 0) co_return;
  const Uuid id = message_id(message.ref, event.uuid(0, 0));
  pg::Params attempt;
  attempt.i64(message.ref.event_seq).i32(message.ref.sid).i16(message.shard).text(error);
  co_await connection_->run(kAttempt, std::move(attempt));
  pg::Params letter;
  letter.i64(message.ref.event_seq).i32(message.ref.sid).i16(message.shard).i64(message.khash);
  letter.uuid(id).text(error);
  co_await connection_->run(kDeadLetter, std::move(letter));
}

}  // namespace eventhub::store
