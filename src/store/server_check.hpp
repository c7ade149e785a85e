#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"
#include "eventhub/pg/connection.hpp"

namespace eventhub::store {

// The server as a session of the hub sees it.
struct ServerFacts {
  int version = 0;  // 150020
  std::string fsync = "on";
  std::string full_page_writes = "on";
  std::string synchronous_commit = "on";
  Millis statement_timeout{0};
  // Its clock minus ours; right but for half of the round trip.
  Micros clock_difference{0};
  Micros round_trip{0};
};

// Asks the server (server_exam.cpp). Its clock is taken to have been read in the middle of the
// round trip.
Task<ServerFacts> read_server_facts(pg::Connection& connection, const Clock& clock);

// Something that weakens what the hub promises.
struct Weakness {
  enum class Kind {
    durability,  // what was accepted may be lost; stops the start unless that is allowed
    told,        // what was accepted may be lost; the hub cannot know whether it may
    session,     // the hub cannot work as it should; always stops the start
    clock,
  };
  std::string setting;
  std::string value;
  std::string harm;
  Kind kind = Kind::told;

  bool loses_events() const { return kind == Kind::durability || kind == Kind::told; }
};

// The settings that are judged, for metrics; the clock has its own.
const std::vector<std::string>& judged_settings();

std::vector<Weakness> weaknesses(const ServerFacts& facts, const DatabaseConfig& config);

// Why the hub must not start, with what to do about it; empty when it may.
std::string refusal(const std::vector<Weakness>& found, const DatabaseConfig& config);

// "fsync is off, full_page_writes is off": what may lose accepted events.
std::string durability_lost(const std::vector<Weakness>& found);

}  // namespace eventhub::store
