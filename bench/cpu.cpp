// Reads CPU times. A process's clock is exact to the nanosecond and counts ended threads; ended
// children are in the tick-sized counters of whoever waited for them.
#include "bench/cpu.hpp"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

namespace eventhub::bench {
namespace {

std::int64_t nanoseconds_per_tick() {
  return 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
}

struct Stat {
  pid_t parent = 0;
  std::int64_t reaped_ticks = 0;
};

// The name in /proc/PID/stat may hold anything, brackets too; the fields after it are numbers.
std::optional<Stat> read_stat(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  Stat stat;
  std::int64_t user = 0, system = 0;
  fields >> skipped >> stat.parent;                      // 3 state, 4 ppid
  for (int i = 5; i <= 15; ++i) fields >> skipped;       // up to 15 stime
  if (!(fields >> user >> system)) return std::nullopt;  // 16 cutime, 17 cstime
  stat.reaped_ticks = user + system;
  return stat;
}

}  // namespace

std::int64_t cpu_of_process(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

ProcessTable::ProcessTable() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), &::closedir);
  if (!directory) return;
  while (const dirent* entry = ::readdir(directory.get())) {
    const pid_t pid = std::atoi(entry->d_name);
    const auto stat = pid > 0 ? read_stat(pid) : std::nullopt;
    if (!stat) continue;
    processes_[pid] = {stat->parent, stat->reaped_ticks * nanoseconds_per_tick()};
    children_.emplace(stat->parent, pid);
  }
}

pid_t ProcessTable::parent_of(pid_t pid) const {
  const auto found = processes_.find(pid);
  return found == processes_.end() ? 0 : found->second.parent;
}

std::int64_t ProcessTable::cpu_of_tree(pid_t root, const std::vector<pid_t>& without) const {
  const auto found = processes_.find(root);
  if (found == processes_.end() || std::ranges::count(without, root) != 0) return 0;
  std::int64_t total = cpu_of_process(root) + found->second.reaped;
  const auto [begin, end] = children_.equal_range(root);
  for (auto child = begin; child != end; ++child) total += cpu_of_tree(child->second, without);
  return total;
}

std::int64_t busy_cpu() {
  std::ifstream file("/proc/stat");
  std::string name;
  std::int64_t user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
  file >> name >> user >> nice >> system >> idle >> wait >> irq >> softirq >> steal;
  return (user + nice + system + irq + softirq + steal) * nanoseconds_per_tick();
}

}  // namespace eventhub::bench
