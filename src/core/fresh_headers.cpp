// One growing run of numbers; taking cuts it off at the front. Calls nothing further.
#include "eventhub/core/fresh_headers.hpp"

#include <algorithm>
#include <iterator>

namespace eventhub {
namespace {

bool without_gap(const std::vector<EventHeader>& events) {
  const auto last = static_cast<std::int64_t>(events.size()) - 1;
  return events.back().event_seq - events.front().event_seq == last;
}

}  // namespace

void FreshHeaders::add(Batch batch, std::size_t rows_max) {
  if (batch.events.empty()) return;
  std::ranges::sort(batch.events, {}, &EventHeader::event_seq);
  std::vector<EventHeader>& waiting = batch_.events;
  const std::int64_t first = batch.events.front().event_seq;
  const bool follows = !waiting.empty() && waiting.back().event_seq + 1 == first;
  if (!follows || waiting.size() + batch.events.size() > rows_max) clear();
  if (!without_gap(batch.events) || batch.events.size() > rows_max) return clear();
  batch_.subscribers_version = std::max(batch_.subscribers_version, batch.subscribers_version);
  waiting.insert(waiting.end(), std::make_move_iterator(batch.events.begin()),
                 std::make_move_iterator(batch.events.end()));
}

FreshHeaders::Batch FreshHeaders::take(std::int64_t after, std::size_t rows_max) {
  Batch taken;
  std::vector<EventHeader>& waiting = batch_.events;
  if (waiting.empty() || after + 1 < waiting.front().event_seq) return taken;
  const auto size = static_cast<std::int64_t>(waiting.size());
  const std::int64_t skipped = std::min(after + 1 - waiting.front().event_seq, size);
  const auto begin = waiting.begin() + skipped;
  const auto end = begin + std::min(size - skipped, static_cast<std::int64_t>(rows_max));
  taken.events.assign(std::make_move_iterator(begin), std::make_move_iterator(end));
  taken.subscribers_version = batch_.subscribers_version;
  waiting.erase(waiting.begin(), end);
  return taken;
}

}  // namespace eventhub
