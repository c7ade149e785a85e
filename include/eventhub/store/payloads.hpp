#pragma once
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// Events by event_seq for sending: a cache bounded in bytes, filled in batches (all that are asked
// for while a read is under way are read with the next). Falls back to the dead letter's copy when
// the partition is gone.
class Payloads {
 public:
  explicit Payloads(Context& context);
  // From the cache, or nullptr.
  EventPtr cached(std::int64_t event_seq);
  std::int64_t bytes() const { return bytes_; }
  // nullptr: the event does not exist any more. Throws pg::Error when the database cannot be read.
  Task<EventPtr> get(std::int64_t event_seq);
  // Several at once, in their order: one read for those that are not here.
  Task<std::vector<EventPtr>> get_all(std::vector<std::int64_t> event_seqs);
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
  std::shared_ptr<Waiter> ask(std::int64_t event_seq);
  static Task<EventPtr> answered(std::shared_ptr<Waiter> waiter);
  void keep(EventPtr event);
  void answer(std::int64_t event_seq, const EventPtr& event, bool failed);

  Context& context_;
  std::unordered_map<std::int64_t, Entry> cache_;
  std::list<std::int64_t> ages_;  // newest first
  std::int64_t bytes_ = 0;
  std::unordered_map<std::int64_t, std::vector<std::shared_ptr<Waiter>>> wanted_;
  std::vector<std::int64_t> queue_;
  Wakeup work_;
  bool stopping_ = false;
};

}  // namespace eventhub::store
