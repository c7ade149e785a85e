// Reads VmHWM, which the kernel keeps, so that no peak between two looks is missed.
#include "bench/memory.hpp"

#include <fstream>
#include <string>

namespace eventhub::bench {

std::int64_t peak_memory(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string name; file >> name;) {
    std::int64_t kib = 0;
    if (name == "VmHWM:" && file >> kib) return kib * 1024;
  }
  return 0;
}

void forget_peak_memory(pid_t pid) {
  std::ofstream file("/proc/" + std::to_string(pid) + "/clear_refs");
  file << "5";  // proc(5): the peak, and nothing else
}

}  // namespace eventhub::bench
