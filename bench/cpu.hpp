#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

// CPU time by group of processes, from /proc and the processes' own clocks.
namespace eventhub::bench {

// All processes of the machine at one moment.
class ProcessTable {
 public:
  ProcessTable();
  // 0: no such process.
  pid_t parent_of(pid_t pid) const;
  // `root` and all below it, without the trees that begin at `without`. Nanoseconds, the time of
  // children that ended and were waited for included.
  std::int64_t cpu_of_tree(pid_t root, const std::vector<pid_t>& without = {}) const;

 private:
  struct Process {
    pid_t parent = 0;
    std::int64_t reaped = 0;  // CPU of children that are gone
  };
  std::map<pid_t, Process> processes_;
  std::multimap<pid_t, pid_t> children_;
};

// Nanoseconds of one process with all its threads, also those that ended; 0 when it is gone.
std::int64_t cpu_of_process(pid_t pid);

// Nanoseconds that all CPUs together were busy, or taken away by the machine's host, since boot.
std::int64_t busy_cpu();

}  // namespace eventhub::bench
