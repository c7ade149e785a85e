#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/shape.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub::bench {

// Listening sockets on free ports of 127.0.0.1: made before the sink's process is.
struct Listener {
  int fd = -1;
  std::uint16_t port = 0;
};
std::vector<Listener> listen_on_free_ports(std::size_t count);

struct SinkPlan {
  std::vector<Listener> listeners;
  std::uint32_t payload_bytes = 0;
  Millis delay{0};  // before every answer
  std::string log_file;
  std::atomic<std::uint64_t>* answered = nullptr;  // counts, in memory shared with the parent
};

// Answers every webhook with 200 and writes it down; returns after SIGTERM, when the log is
// complete. Throws std::runtime_error when something that is no webhook arrives.
void run_sink(const SinkPlan& plan);

}  // namespace eventhub::bench
