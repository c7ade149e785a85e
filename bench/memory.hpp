#pragma once
#include <sys/types.h>

#include <cstdint>

// Memory of a process, from /proc.
namespace eventhub::bench {

// The most that was resident since the process began, or since forget_peak_memory(); 0 when the
// process is gone.
std::int64_t peak_memory(pid_t pid);

// Begins anew. Without the right to (another user's process) the old peak stays.
void forget_peak_memory(pid_t pid);

}  // namespace eventhub::bench
