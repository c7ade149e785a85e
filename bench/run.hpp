#pragma once
#include "bench/options.hpp"

namespace eventhub::bench {

// One run, or the check of an old one's logs. Exit code: 0 all is well, 1 something was lost,
// doubled, out of order …, 2 the run tested nothing. Throws std::runtime_error.
int run(const Options& options);

}  // namespace eventhub::bench
