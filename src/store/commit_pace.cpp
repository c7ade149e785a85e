// Counts rows over tenths of a second. Calls nothing further.
#include "commit_pace.hpp"

#include <algorithm>

namespace eventhub::store {
namespace {

constexpr Millis kCount{100};
constexpr std::size_t kBusyPerMilli = 1;  // rows, from which on company comes within a linger
constexpr std::size_t kEnough = 64;       // rows; more in one commit save little

}  // namespace

Millis CommitPace::wait(Mono now, std::size_t rows) const {
  if (!busy_ || rows >= kEnough) return Millis{0};
  const auto left = std::chrono::floor<Millis>(begun_ + linger_ - now);
  return std::clamp(left, Millis{0}, linger_);
}

void CommitPace::begun(Mono now, std::size_t rows) {
  begun_ = now;
  const auto passed = std::chrono::floor<Millis>(now - counted_since_);
  if (passed >= kCount) {
    busy_ = counted_ >= kBusyPerMilli * static_cast<std::size_t>(passed.count());
    counted_since_ = now;
    counted_ = 0;
  }
  counted_ += rows;
}

}  // namespace eventhub::store
