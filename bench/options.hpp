#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bench/checker.hpp"
#include "bench/disturb.hpp"
#include "bench/producer.hpp"
#include "bench/shape.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub::bench {

struct Options {
  std::string scenario;
  Load load;
  Shape shape;
  DisturbPlan disturb;
  double warmup_seconds = 2;
  Millis sink_delay{0};
  std::uint32_t origins = 10;     // the sink's ports: different receivers to the hub
  double drain_seconds_max = 20;  // without progress; what is missing then is lost
  std::string database;           // libpq connection string
  std::string admin;              // … of somebody who may CHECKPOINT; empty: there are none
  std::vector<pid_t> hub_pids;
  std::string logs = ".";                 // directory for the logs of producer and sink
  std::string json;                       // file for the result
  std::optional<Fault> break_log;         // make one record wrong before the check
  std::optional<std::string> check_only;  // judge these logs instead of running
  bool baseline = false;                  // measure what there is without a hub, too
  std::uint32_t baseline_batch = 0;       // events; 0: as in the hub's run
  std::string command;                    // as typed, for the record
};

// Options, or the exit code after help or an error.
std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace eventhub::bench
