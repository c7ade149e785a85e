// Reads /proc and getrusage for Metrics::expose(). What cannot be read counts as 0.
#include "core/metrics_process.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace eventhub {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double open_fds() {
  struct stat status {};
  if (::stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
    return static_cast<double>(status.st_size);  // Linux 6.2 and later count them for us
  std::error_code none;
  double count = -1;  // the directory itself
  for (std::filesystem::directory_iterator it("/proc/self/fd", none), end; !none && it != end;
       it.increment(none))
    ++count;
  return count < 0 ? 0 : count;
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double boot_seconds() {
  std::ifstream stat("/proc/stat");
  std::string word;
  while (stat >> word) {
    double value = 0;
    if (word == "btime" && stat >> value) return value;
    stat.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

}  // namespace

ProcessStats read_process_stats() {
  ProcessStats stats;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0)
    stats.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = static_cast<double>(limit.rlim_cur);
  stats.resident_bytes = resident_bytes();
  stats.open_fds = open_fds();
  return stats;
}

double process_start_seconds() {
  constexpr int kStartTime = 22 - 2;  // of /proc/self/stat, counted behind the name in parentheses
  std::ifstream stat("/proc/self/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');
  std::string field;
  for (int i = 0; i < kStartTime && stat >> field; ++i) {
  }
  double ticks = 0;
  try {
    ticks = std::stod(field);
  } catch (const std::exception&) {
    return 0;
  }
  return boot_seconds() + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace eventhub
