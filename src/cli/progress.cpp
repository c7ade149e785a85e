// The bar of work that takes a while.
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace eventhub::cli {
namespace {

constexpr std::int64_t kBarWidth = 30;
constexpr Millis kDrawEvery{100};

}  // namespace

std::string progress_line(const std::string& verb, const std::string& noun, std::int64_t done,
                          std::int64_t total) {
  if (total <= 0) return fmt::format("{} {} {}", verb, done, noun);
  const std::int64_t share = std::min(done, total) * kBarWidth / total;
  const std::string bar(static_cast<std::size_t>(share), '#');
  return fmt::format("{} [{:<{}}] {}/{} {}  {} %", verb, bar, kBarWidth, done, total, noun,
                     std::min(done, total) * 100 / total);
}

Progress::Progress(std::string verb, std::string noun, std::int64_t total, bool beside_lines)
    : verb_(std::move(verb)),
      noun_(std::move(noun)),
      total_(total),
      shown_(::isatty(STDERR_FILENO) != 0 && !(beside_lines && ::isatty(STDOUT_FILENO) != 0)) {}

Progress::~Progress() {
  if (shown_) std::cerr << "\r\033[K" << std::flush;
}

void Progress::add(std::int64_t more) {
  done_ += more;
  if (!shown_ || clock_.mono() - drawn_ < kDrawEvery) return;
  drawn_ = clock_.mono();
  std::cerr << "\r\033[K" << progress_line(verb_, noun_, done_, total_) << std::flush;
}

}  // namespace eventhub::cli
