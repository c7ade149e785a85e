#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eventhub/core/match.hpp"

namespace eventhub {

// The messages of one commit: all messages of the events up to and including `through`.
struct Chunk {
  std::vector<Message> messages;
  std::int64_t through = 0;
};

// Matches events one after the other and cuts the messages into chunks of at most `rows_max`, never
// inside an event; one event alone may exceed it. Nothing is matched before its chunk is asked for,
// so memory is bounded by a chunk. `events` and `matcher` outlive it.
class Chunks {
 public:
  Chunks(std::span<const EventHeader> events, const Matcher& matcher, std::size_t rows_max)
      : events_(events), matcher_(matcher), rows_max_(rows_max) {}
  // False after the last one. Events without messages belong to a chunk too: it moves the cursor.
  bool next(Chunk& chunk);

 private:
  std::span<const EventHeader> events_;
  const Matcher& matcher_;
  std::size_t rows_max_;
  std::size_t position_ = 0;      // the next event to match
  std::vector<Message> carried_;  // of the event before it: did not fit into the last chunk
};

}  // namespace eventhub
