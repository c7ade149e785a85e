#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eventhub/core/message.hpp"

namespace eventhub {

// What the fan-out of a process has committed last, for the dispatcher of the same process, which
// then need not read it back. It is a copy of the end of the table: who finds nothing here reads
// there.
class FreshMessages {
 public:
  // Every message of the events (after, through], committed. What came before is forgotten when it
  // does not end at `after`, or when more than `rows_max` messages would wait.
  void add(std::int64_t after, std::int64_t through, std::span<const Message> messages,
           std::size_t rows_max);

  struct Window {
    std::int64_t end = 0;
    bool more = false;  // there is something beyond it
    std::vector<Message> messages;
  };
  // Takes everything of (after, end], at most `events` of them; nullopt when that is not here.
  std::optional<Window> take(std::int64_t after, std::int64_t events);
  // The table may have changed: another owner, another server.
  void clear() { *this = {}; }

 private:
  std::int64_t after_ = 0, through_ = 0;
  std::vector<Message> messages_;  // of (after_, through_], ascending
};

}  // namespace eventhub
