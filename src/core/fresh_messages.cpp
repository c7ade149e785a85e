// One growing window; taking cuts it off at the front. Calls nothing further.
#include "eventhub/core/fresh_messages.hpp"

#include <algorithm>

namespace eventhub {
namespace {

std::ptrdiff_t up_to(const std::vector<Message>& messages, std::int64_t event_seq) {
  const auto beyond = std::ranges::upper_bound(
      messages, event_seq, {}, [](const Message& one) { return one.ref.event_seq; });
  return beyond - messages.begin();
}

}  // namespace

void FreshMessages::add(std::int64_t after, std::int64_t through, std::span<const Message> messages,
                        std::size_t rows_max) {
  if (through <= after) return;
  const bool follows = after == through_;
  if (!follows || messages_.size() + messages.size() > rows_max) {
    messages_.clear();
    after_ = after;
  }
  through_ = through;
  if (messages.size() > rows_max) {
    after_ = through;
    return;
  }
  messages_.insert(messages_.end(), messages.begin(), messages.end());
}

std::optional<FreshMessages::Window> FreshMessages::take(std::int64_t after, std::int64_t events) {
  if (after < after_ || after >= through_) return std::nullopt;
  Window window;
  window.end = std::min(through_, after + events);
  const auto begin = messages_.begin() + up_to(messages_, after);
  const auto end = messages_.begin() + up_to(messages_, window.end);
  if (begin == messages_.begin() && end == messages_.end()) {
    window.messages.swap(messages_);
  } else {
    window.messages.assign(begin, end);
    messages_.erase(messages_.begin(), end);
  }
  after_ = window.end;
  window.more = window.end < through_;
  return window;
}

}  // namespace eventhub
