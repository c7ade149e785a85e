#pragma once
#include "eventhub/core/time.hpp"

namespace eventhub::test {

// A wall clock that is set wrong.
class WrongClock final : public Clock {
 public:
  explicit WrongClock(Seconds ahead) : ahead_(ahead) {}
  Time now() const override { return SystemClock{}.now() + ahead_; }
  Mono mono() const override { return SystemClock{}.mono(); }

 private:
  Seconds ahead_;
};

}  // namespace eventhub::test
