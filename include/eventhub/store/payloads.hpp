#pragma once
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// Events by event_seq for sending: a cache bounded in bytes, filled from what this process has just
// accepted, or in batches (all that are asked for while a read is under way are read with the
// next). Falls back to the dead letter's copy when
// the partition is gone. Nothing more is read while in_flight_bytes_max are in use; a read is cut
// so that it brings about payload_cache_bytes_max, judged by the largest payload lately seen.
class Payloads {
 public:
  explicit Payloads(Context& context);
  // From the cache, or nullptr.
  EventPtr cached(std::int64_t event_seq);
  std::int64_t bytes() const { return bytes_; }
  // Forgets the cache: after a lost session the numbers may mean other events (a restored backup).
  void clear();
  // nullptr: the event does not exist any more. Throws pg::Error when the database cannot be read.
  Task<EventPtr> get(std::int64_t event_seq);
  // The reading loop, until stop().
  Task<void> run();
  void stop();

 private:
  struct Waiter;
  struct Entry {
    EventPtr event;
    std::list<std::int64_t>::iterator age;
  };
  Task<void> fetch(pg::Connection& connection, std::vector<std::int64_t> wanted);
  Task<void> fetch_dead(pg::Connection& connection, std::vector<std::int64_t> wanted);
  EventPtr count(Event&& event);
  EventPtr take_fresh(std::int64_t event_seq);
  bool full() const;
  std::vector<std::int64_t> next_batch();
  Task<bool> read_batch(pg::ConnectionPtr& connection, std::vector<std::int64_t> batch);
  void keep(EventPtr event);
  void answer(std::int64_t event_seq, const EventPtr& event, bool failed);

  Context& context_;
  std::unordered_map<std::int64_t, Entry> cache_;
  std::list<std::int64_t> ages_;  // newest first
  std::int64_t bytes_ = 0;
  // Bytes of all events that somebody holds, the cache included; shared with those events.
  std::shared_ptr<std::int64_t> in_use_ = std::make_shared<std::int64_t>(0);
  std::int64_t largest_ = 0;      // of late
  std::uint64_t generation_ = 0;  // of clear()
  std::unordered_map<std::int64_t, std::vector<std::shared_ptr<Waiter>>> wanted_;
  std::vector<std::int64_t> queue_;
  Wakeup work_;
  bool stopping_ = false;
};

}  // namespace eventhub::store
