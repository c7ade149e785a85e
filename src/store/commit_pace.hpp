#pragma once
#include <cstddef>

#include "eventhub/core/time.hpp"

namespace eventhub::store {

// When the next group commit should begin. At once, while events are rare: nothing waits for
// company that does not come. From a thousand a second on, `linger` after the beginning of the one
// before, so that several events share what a commit and its wake-ups cost; at full load a commit
// takes longer than that anyway. Producers that post when they are answered come less often then:
// that is seen, and for a while nothing waits.
class CommitPace {
 public:
  explicit CommitPace(Micros linger) : linger_(linger) {}
  // How long to wait with `rows` in the queue.
  Micros wait(Mono now, std::size_t rows) const;
  // A commit of `rows` begins.
  void begun(Mono now, std::size_t rows);

 private:
  void judge(Mono now, double rate);

  Micros linger_;
  Mono begun_{};
  Mono counted_since_{};
  std::size_t counted_ = 0;
  bool paced_ = false;    // by the last two counts
  double last_rate_ = 0;  // rows per millisecond of the last count
  double free_rate_ = 0;  // what came without a distance
  Mono rest_until_{};
};

}  // namespace eventhub::store
