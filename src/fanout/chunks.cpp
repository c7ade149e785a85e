// Events to commits, pure. Called by fanout.cpp, which hands each chunk to
// store::Sequencer::append.
#include "fanout/chunks.hpp"

namespace eventhub {

bool Chunks::next(Chunk& chunk) {
  chunk.messages.clear();
  chunk.messages.swap(carried_);
  if (chunk.messages.empty() && position_ == events_.size()) return false;
  if (!chunk.messages.empty()) chunk.through = events_[position_ - 1].event_seq;
  while (position_ < events_.size()) {
    const EventHeader& event = events_[position_++];
    const std::size_t before = chunk.messages.size();
    matcher_.match(event, chunk.messages);
    const bool added = chunk.messages.size() > before;
    if (before > 0 && added && chunk.messages.size() > rows_max_) {
      const auto cut = chunk.messages.begin() + static_cast<std::ptrdiff_t>(before);
      carried_.assign(cut, chunk.messages.end());
      chunk.messages.erase(cut, chunk.messages.end());
      return true;
    }
    chunk.through = event.event_seq;
  }
  return true;
}

}  // namespace eventhub
