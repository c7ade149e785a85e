#pragma once
#include <cstdint>
#include <string>

#include "eventhub/core/time.hpp"

namespace eventhub::cli {

// "retried [#####     ]  1200/2400 letters  50 %": one line of it. Without a total (0): the count.
std::string progress_line(const std::string& verb, const std::string& noun, std::int64_t done,
                          std::int64_t total);

// How far long work is, on standard error while that is a terminal; the line goes at the end.
// `beside_lines`: the work prints lines on standard output, so nothing is shown while that is a
// terminal too.
class Progress {
 public:
  Progress(std::string verb, std::string noun, std::int64_t total, bool beside_lines);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void add(std::int64_t more);

 private:
  std::string verb_, noun_;
  std::int64_t total_, done_ = 0;
  bool shown_;
  SystemClock clock_;
  Mono drawn_{};
};

}  // namespace eventhub::cli
