#pragma once
#include <cstdint>
#include <vector>

#include "eventhub/core/event.hpp"

namespace eventhub {

// Events that this process has accepted last, for its own fan-out, which then need not read them
// back. Each event_seq is of one event only: without a gap between two of them, nobody else's event
// is in between. With a gap, who finds nothing here reads the table.
class FreshHeaders {
 public:
  struct Batch {
    std::vector<EventHeader> events;       // ascending, without a gap
    std::int64_t subscribers_version = 0;  // when they were accepted, or later
  };
  // One commit's events, in any order. What came before is forgotten when there is a gap before or
  // within them, or when more than `rows_max` would wait.
  void add(Batch batch, std::size_t rows_max);
  // Those right after the event `after`, `rows_max` of them at most; none when they are not here.
  Batch take(std::int64_t after, std::size_t rows_max);
  void clear() { batch_ = {}; }

 private:
  Batch batch_;
};

}  // namespace eventhub
