#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/records.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub::bench {

// Listening sockets on free ports of 127.0.0.1: made before the sink's process is.
struct Listener {
  int fd = -1;
  std::uint16_t port = 0;
};
std::vector<Listener> listen_on_free_ports(std::size_t count);
// A port that is taken, and refuses connections.
Listener bind_without_listening();

struct SinkPlan {
  std::vector<Listener> listeners;
  std::uint32_t payload_bytes = 0;
  Millis delay{0};                             // before every answer
  std::uint32_t bystanders_from = 0xFFFFFFFF;  // subscribers from this one on …
  Millis bystander_delay{0};                   // … are answered after so long
  std::uint32_t refused_key = kNoKey;          // its events are answered 503
  std::string log_file;
  // Counts the 200s, without bystanders; in memory shared with the parent.
  std::atomic<std::uint64_t>* answered = nullptr;
};

// Answers every webhook (200 unless told otherwise) and writes it down; returns after SIGTERM, when
// the log is complete. Throws std::runtime_error when something that is no webhook arrives.
void run_sink(const SinkPlan& plan);

}  // namespace eventhub::bench
