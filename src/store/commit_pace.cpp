// Counts rows over tenths of a second. Calls nothing further.
#include "commit_pace.hpp"

#include <algorithm>

namespace eventhub::store {
namespace {

constexpr Millis kCount{100};
constexpr Millis kLong{1'000};       // a count that is enough by itself
constexpr double kBusyPerMilli = 1;  // rows, from which on company comes within a linger
constexpr double kSlowed = 0.7;      // of the rate without a distance: they wait for us
constexpr Seconds kRest{5};
constexpr std::size_t kEnough = 64;  // rows; more in one commit save little

}  // namespace

Micros CommitPace::wait(Mono now, std::size_t rows) const {
  if (!paced_ || rows >= kEnough) return Micros{0};
  return std::clamp(std::chrono::floor<Micros>(begun_ + linger_ - now), Micros{0}, linger_);
}

void CommitPace::begun(Mono now, std::size_t rows) {
  begun_ = now;
  const auto passed = std::chrono::floor<Millis>(now - counted_since_);
  if (passed >= kCount) {
    const double rate = static_cast<double>(counted_) / static_cast<double>(passed.count());
    if (passed >= kLong) last_rate_ = rate;
    judge(now, rate);
    counted_since_ = now;
    counted_ = 0;
  }
  counted_ += rows;
}

// By two counts: in one alone a disk that stalled, or what came after it, looks like producers.
void CommitPace::judge(Mono now, double rate) {
  const double least = std::min(rate, last_rate_);
  const double most = std::max(rate, last_rate_);
  last_rate_ = rate;
  if (!paced_) free_rate_ = least;
  if (paced_ && most < kSlowed * free_rate_) rest_until_ = now + kRest;
  paced_ = (paced_ ? most : least) >= kBusyPerMilli && now >= rest_until_;
}

}  // namespace eventhub::store
