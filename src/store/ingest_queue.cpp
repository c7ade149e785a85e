// The waiting room of Ingest: forms batches, joins requests with one idempotency key, resumes
// callers. No database here; ingest_commit.cpp writes the batches.
#include "ingest_queue.hpp"

#include <boost/asio/post.hpp>
#include <cstring>
#include <unordered_map>

namespace eventhub::store {

std::size_t UuidHash::operator()(const Uuid& id) const {
  std::size_t hash;
  std::memcpy(&hash, id.bytes.data() + 8, sizeof hash);  // the first bytes of a v7 are its time
  return hash;
}

AcceptResult judge(const IdempotencyKey& key, const StoredKey& stored) {
  if (key.fingerprint != stored.fingerprint) return AcceptError::key_reused;
  return Accepted{stored.event_id, true};
}

std::optional<AcceptResult> follower_result(const Waiting& leader, const IdempotencyKey& key) {
  if (leader.stored) return judge(key, *leader.stored);
  if (const auto* accepted = std::get_if<Accepted>(&leader.result)) {
    return judge(key, {leader.key->fingerprint, accepted->event_id});
  }
  const bool other_request = key.fingerprint != leader.key->fingerprint;
  // A refused leader leaves no key behind.
  if (std::get<AcceptError>(leader.result) == AcceptError::refused && other_request) {
    return std::nullopt;
  }
  return leader.result;
}

IngestQueue::IngestQueue(Executor executor, std::int64_t bytes_max)
    : executor_(std::move(executor)), bytes_max_(static_cast<std::size_t>(bytes_max)) {}

void IngestQueue::push(WaitingPtr waiting) {
  bytes_ += waiting->bytes;
  queue_.push_back(std::move(waiting));
}

IngestQueue::Front IngestQueue::front() const {
  Front front{1, queue_.front()->bytes};
  const std::uint64_t group = queue_.front()->group;
  if (group == 0) return front;
  while (front.rows < queue_.size() && queue_[front.rows]->group == group) {
    front.bytes += queue_[front.rows++]->bytes;
  }
  return front;
}

Batch IngestQueue::take(std::size_t rows_max, std::size_t bytes_max) {
  Batch batch;
  std::unordered_map<Uuid, Waiting*, UuidHash> leaders;
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    const Front next = front();
    const bool full = batch.size() + next.rows > rows_max || bytes + next.bytes > bytes_max;
    if (!batch.empty() && full) break;
    for (std::size_t i = 0; i < next.rows; ++i) {
      WaitingPtr row = std::move(queue_.front());
      queue_.pop_front();
      if (row->key) {
        const auto [leader, first] = leaders.try_emplace(row->key->key, row.get());
        if (!first) {
          leader->second->followers.push_back(std::move(row));
          continue;
        }
      }
      bytes += row->bytes;
      batch.push_back(std::move(row));
    }
  }
  return batch;
}

#ifdef EVENTHUB_FAULTS
Task<void> IngestQueue::answer_early(std::span<WaitingPtr> rows) {
  for (auto& row : rows) {
    auto done = std::move(*row->done);
    row->done.emplace([](AcceptResult) {});
    boost::asio::post(executor_, [done = std::move(done), id = row->id]() mutable {
      std::move(done)(Accepted{id, false});
    });
  }
  co_await sleep_for(Millis{200});
}
#endif

void IngestQueue::put_back(Batch rows) {
  queue_.insert(queue_.begin(), std::make_move_iterator(rows.begin()),
                std::make_move_iterator(rows.end()));
}

void IngestQueue::settle(Batch rows) {
  Batch again;
  Batch finished;
  for (auto& row : rows) {
    for (auto& follower : std::exchange(row->followers, {})) {
      const auto result = follower_result(*row, *follower->key);
      if (result) follower->result = *result;
      (result ? finished : again).push_back(std::move(follower));
    }
    finished.push_back(std::move(row));
  }
  for (const auto& row : finished) bytes_ -= row->bytes;
  put_back(std::move(again));
  boost::asio::post(executor_, [finished = std::move(finished)]() mutable {
    for (auto& row : finished) {
      const AcceptResult result = row->result;
      auto done = std::move(*row->done);
      row.reset();
      std::move(done)(result);
    }
  });
}

void IngestQueue::fail_all(AcceptError error) {
  Batch rows(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
  queue_.clear();
  for (auto& row : rows) row->result = error;
  settle(std::move(rows));
}

}  // namespace eventhub::store
