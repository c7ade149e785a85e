#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "eventhub/core/event.hpp"

namespace eventhub {

// Events that this process has accepted last, for its own dispatcher, which then need not read them
// back. Bounded in bytes: the oldest leave first. Who finds nothing here reads the table.
class FreshEvents {
 public:
  // Forgets the oldest until all have at most `bytes_max` bytes of payload.
  void add(Event event, std::size_t bytes_max);
  // Each is given once.
  std::optional<Event> take(std::int64_t event_seq);
  // The table may have changed: a payload was taken away, or it is another server's.
  void clear();
  // Of clear(): what was read before it must not be added after it.
  std::uint64_t generation() const { return generation_; }

 private:
  std::unordered_map<std::int64_t, Event> events_;
  std::deque<std::int64_t> order_;  // oldest first; some may have been taken
  std::size_t bytes_ = 0;
  std::uint64_t generation_ = 0;
};

}  // namespace eventhub
