#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/core/message.hpp"
#include "eventhub/store/lock_session.hpp"

namespace eventhub::store {

// The session that may hold the sequencer lock and everything the fan-out reads and writes. Owner
// and writer are one connection: when it is gone the lock is free and nothing of it can commit any
// more. After any exception throw it away and begin anew; what was not committed is read again.
class Sequencer {
 public:
  static Task<std::unique_ptr<Sequencer>> connect(Context& context);

  // Takes the lock unless another session has it; then the cursor is where the messages end.
  Task<bool> try_acquire();
  // Saves the cursor and frees the lock. The session is not used afterwards.
  Task<void> release();

  // Every event up to here has its messages.
  std::int64_t cursor() const { return cursor_; }

  struct Feed {
    std::vector<EventHeader> events;       // ascending, contiguous with the cursor
    std::int64_t subscribers_version = 0;  // of the same snapshot; only when there are events
  };
  // The next events after the cursor, of its partition and the one after it; from memory what this
  // process has just accepted.
  Task<Feed> read(int limit);

  // Fills in payload and version of `events`, which read() has given, ascending: of as many as have
  // `bytes_max` bytes of payloads, but at least one. Returns how many, from the first on.
  Task<std::size_t> read_bodies(std::span<EventHeader* const> events, std::int64_t bytes_max);

  // Commits the messages of the events up to and including `through` and moves the cursor there.
  // `messages` ascend by event_seq and hold all messages of their events. Rows that PostgreSQL
  // refuses become dead letters; the rest goes through.
  Task<void> append(std::span<const Message> messages, std::int64_t through);

  // Keeps the session alive, saves the cursor when it moved, writes this process's row of `nodes`
  // when no dispatcher does, and learns who listens. Call it at least every second or two.
  Task<void> heartbeat();

 private:
  enum class Refusal { none, missing_partition, bad_data };

  Sequencer(Context& context, LockSession connection)
      : context_(context), connection_(std::move(connection)) {}
  Task<void> find_partitions();
  pg::Statement read_statement() const;
  pg::Statement bodies_statement() const;
  bool take_fresh(Feed& feed, int limit);
  Task<void> skip_empty_range();
  Task<Refusal> try_insert(std::span<const Message> messages, std::int64_t through);
  void hand_over(std::span<const Message> messages, std::int64_t through);
  Task<void> split(std::span<const Message> messages, std::int64_t through);
  Task<void> insert_one_event(std::span<const Message> messages, std::int64_t through);
  Task<void> insert_or_bury(std::span<const Message> messages);
  Task<std::optional<pg::Error>> insert_within(std::span<const Message> messages);
  Task<void> bury(Message message, std::string error);
  Task<void> write_dead_letter(Message message, std::string error);
  pg::Call save_cursor(std::int64_t through) const;
  void moved(std::int64_t through, bool saved);

  Context& context_;
  LockSession connection_;
  bool owner_ = false;
  std::optional<Partition> current_, next_;
  std::int64_t cursor_ = 0, saved_cursor_ = 0;
  Mono saved_at_{}, probed_at_{};
};

}  // namespace eventhub::store
