#pragma once
#include <boost/asio/any_completion_handler.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "eventhub/store/ingest.hpp"

namespace eventhub::store {

// What the database holds under a key.
struct StoredKey {
  Uuid fingerprint;
  Uuid event_id;
};

// A request on its way to a commit.
struct Waiting {
  NewEvent event;
  std::optional<IdempotencyKey> key;
  Uuid id;
  std::size_t bytes = 0;
  std::uint64_t group = 0;  // not 0: shares a commit with its neighbours of the same group
  int losses = 0;           // connections that ended with it
  // emplace() it: assigning to an any_completion_handler recurses for ever in Boost 1.81.
  std::optional<boost::asio::any_completion_handler<void(AcceptResult)>> done;
  // Others of the same batch with the same key: they get their answer from this one's.
  std::vector<std::unique_ptr<Waiting>> followers;
  std::optional<StoredKey> stored;  // the key was there before
  AcceptResult result = AcceptError::unavailable;
};
using WaitingPtr = std::unique_ptr<Waiting>;
using Batch = std::vector<WaitingPtr>;

// The answer to a key that is stored already.
AcceptResult judge(const IdempotencyKey& key, const StoredKey& stored);
// The answer to a follower of `leader`, whose result is known; nullopt: it has to be submitted
// itself.
std::optional<AcceptResult> follower_result(const Waiting& leader, const IdempotencyKey& key);

// Requests in the order they came, bounded in bytes from their arrival to their answer. Pure but
// for the resumption of the callers.
class IngestQueue {
 public:
  IngestQueue(Executor executor, std::int64_t bytes_max);
  bool fits(std::size_t bytes) const { return bytes_ + bytes <= bytes_max_ || bytes_ == 0; }
  void push(WaitingPtr waiting);
  // The next batch, at least one row; a key is in it once. A group is in it whole, if need be
  // beyond the bounds.
  Batch take(std::size_t rows_max, std::size_t bytes_max);
#ifdef EVENTHUB_FAULTS
  // The mutant ack_before_commit: returns when the 202 of rows that are not there is on its way.
  Task<void> answer_early(std::span<WaitingPtr> rows);
#endif
  // Back to the front, in order.
  void put_back(Batch rows);
  // Answers rows (their `result` is set) and their followers. Callers are resumed by one posted
  // function, so that the next commit is on its way before the answers are written.
  void settle(Batch rows);
  // Gives all that wait the same answer.
  void fail_all(AcceptError error);
  std::uint64_t new_group() { return ++last_group_; }
  bool empty() const { return queue_.empty(); }
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return queue_.size(); }

 private:
  // Rows at the front that have to share a commit: one, or a group.
  struct Front {
    std::size_t rows, bytes;
  };
  Front front() const;

  Executor executor_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t last_group_ = 0;
  std::deque<WaitingPtr> queue_;
};

struct UuidHash {  // for values that are hashes or random already
  std::size_t operator()(const Uuid& id) const;
};

}  // namespace eventhub::store
