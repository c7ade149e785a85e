#pragma once

// What the operating system says about this process, for the metrics every Prometheus client has.
namespace eventhub {

struct ProcessStats {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;
};
ProcessStats read_process_stats();
// Unix time of the start.
double process_start_seconds();

}  // namespace eventhub
