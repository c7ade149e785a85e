// A map and the order in which it was filled. Calls nothing further.
#include "eventhub/core/fresh_events.hpp"

#include <utility>

namespace eventhub {
namespace {

constexpr std::size_t kOverhead = 500;  // of an event besides its payload, about

std::size_t cost(const Event& event) {
  return event.payload.size() + kOverhead;
}

}  // namespace

void FreshEvents::add(Event event, std::size_t bytes_max) {
  const std::int64_t seq = event.event_seq;
  const std::size_t bytes = cost(event);
  if (bytes > bytes_max || !events_.emplace(seq, std::move(event)).second) return;
  bytes_ += bytes;
  order_.push_back(seq);
  while (bytes_ > bytes_max || order_.size() > bytes_max / kOverhead) {
    static_cast<void>(take(order_.front()));
    order_.pop_front();
  }
}

std::optional<Event> FreshEvents::take(std::int64_t event_seq) {
  const auto found = events_.find(event_seq);
  if (found == events_.end()) return std::nullopt;
  Event event = std::move(found->second);
  events_.erase(found);
  bytes_ -= cost(event);
  return event;
}

void FreshEvents::clear() {
  events_.clear();
  order_.clear();
  bytes_ = 0;
  ++generation_;
}

}  // namespace eventhub
