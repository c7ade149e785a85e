// Commits what the fan-out matched, on the session that holds the lock. A batch that PostgreSQL
// refuses is cut down to the one event at fault (here) and the one row (sequencer_bury.cpp).
#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/store/sequencer.hpp"
#include "store/sequencer_sql.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kSaveEvery{1'000};
constexpr int kPartitionTries = 3;

}  // namespace

pg::Call insert_messages(std::span<const Message> messages) {
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  std::vector<std::int16_t> shards;
  std::vector<std::optional<std::int64_t>> hashes;
  seqs.reserve(messages.size());
  sids.reserve(messages.size());
  shards.reserve(messages.size());
  hashes.reserve(messages.size());
  for (const Message& message : messages) {
    seqs.push_back(message.ref.event_seq);
    sids.push_back(message.ref.sid);
    shards.push_back(message.shard);
    hashes.push_back(message.khash);
  }
  pg::Call call{&kInsertMessages, {}};
  call.params.i64s(seqs).i32s(sids).i16s(shards).i64s(hashes);
  return call;
}

Task<void> Sequencer::append(std::span<const Message> messages, std::int64_t through) {
  for (int round = 1;; ++round) {
    const Refusal refusal = co_await try_insert(messages, through);
    if (refusal == Refusal::none) co_return;
    if (refusal == Refusal::bad_data) break;
    if (round == kPartitionTries) throw std::runtime_error("a partition of messages is missing");
    co_await context_.partitions.ensure(through);
  }
  co_await split(messages, through);
}

// The last message's event is the cursor after a restart, so the row `sequencer` is written only
// for events without messages behind it, and once a second for those who read it.
Task<Sequencer::Refusal> Sequencer::try_insert(std::span<const Message> messages,
                                               std::int64_t through) {
  const bool save = messages.empty() || messages.back().ref.event_seq < through ||
                    context_.clock.mono() - saved_at_ >= kSaveEvery;
  std::vector<pg::Call> calls;
  if (!messages.empty()) calls.push_back(insert_messages(messages));
  if (save) calls.push_back(save_cursor(through));
  EVENTHUB_FAULT_BEFORE_COMMIT_IF(!messages.empty(), "fanout.before_commit");
  try {
    co_await connection_->run_all(std::move(calls));
  } catch (const pg::Error& error) {
    if (error.connection_lost || messages.empty()) throw;
    if (error.missing_partition()) co_return Refusal::missing_partition;
    if (!error.bad_data()) throw;
    log::warn("messages were refused; looking for the row at fault", {{"error", error.what()}});
    co_return Refusal::bad_data;
  }
  hand_over(messages, through);
  moved(through, save);
  co_return Refusal::none;
}

// To the dispatcher of this process; half of what it may read at once, at most.
void Sequencer::hand_over(std::span<const Message> messages, std::int64_t through) {
  if (!context_.config.has_role("dispatcher")) return;
  const auto rows = static_cast<std::size_t>(context_.config.dispatcher.queue_rows_max) / 16;
  context_.fresh_messages.add(cursor_, through, messages, rows);
}

// Halves in ascending order, cut between events: an event's messages become visible together.
Task<void> Sequencer::split(std::span<const Message> messages, std::int64_t through) {
  if (messages.front().ref.event_seq == messages.back().ref.event_seq) {
    co_await insert_one_event(messages, through);
    co_return;
  }
  std::size_t cut = messages.size() / 2;
  const auto seq_at = [&](std::size_t i) { return messages[i].ref.event_seq; };
  while (cut > 0 && seq_at(cut) == seq_at(cut - 1)) --cut;
  if (cut == 0) {
    cut = messages.size() / 2;
    while (seq_at(cut) == seq_at(cut - 1)) ++cut;
  }
  co_await append(messages.first(cut), seq_at(cut - 1));
  co_await append(messages.subspan(cut), through);
}

}  // namespace eventhub::store
