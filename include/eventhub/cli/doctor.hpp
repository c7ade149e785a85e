#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/cli/cli.hpp"
#include "eventhub/core/async.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/store/database.hpp"
#include "eventhub/store/server_exam.hpp"

// The parts of `eventhubd doctor`; app/doctor.cpp puts them together.
namespace eventhub::cli {

struct Finding {
  enum class Level { ok, warn, fail };
  Level level = Level::ok;
  std::string what;    // "database", "receiver of Audit"
  std::string found;   // what is the case
  std::string advice;  // what to do; empty when nothing has to be done
};
using Findings = std::vector<Finding>;

// What is to be said of a server and of the room on its disk (bytes; both 0: not known).
struct DiskRoom {
  std::uint64_t free = 0, all = 0;
};
Findings judge_server(const store::ServerExam& exam, const Config& config, const DiskRoom& disk);

// Server, schema, privileges. Fills `receivers` when they can be read. pg::Error when there is
// no server. All references outlive the task.
Task<void> examine_database(store::Database& database, const Config& config, Findings& findings,
                            std::optional<std::vector<store::ReceiverRow>>& receivers);

// Looks names up and connects; sends nothing.
Findings examine_receivers(const std::vector<store::ReceiverRow>& receivers, const Config& config);

// What is to be said of a subscriber, an object of GET /subscribers; nothing when all is well.
std::optional<Finding> judge_subscriber(std::string_view json);

// Asks the hub whether it is ready, whether the key reads, and for its subscribers.
Findings examine_api(const Invocation& invocation, const Environment& environment,
                     const std::function<std::string()>& own_url);

// A line each, or JSON. The exit code: 1 when something failed.
int report(const Findings& findings, bool json);

}  // namespace eventhub::cli
