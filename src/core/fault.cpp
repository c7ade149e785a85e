// What the tests' EVENTHUB_FAULT=name:nth:action and EVENTHUB_MUTANT=name do. Only in builds with
// EVENTHUB_FAULTS; the points themselves are all over the sources.
#include "eventhub/core/fault.hpp"

#ifdef EVENTHUB_FAULTS

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <ctime>
#include <utility>
#include <vector>

#include "eventhub/core/config.hpp"
#include "eventhub/core/log.hpp"

namespace eventhub::fault {
namespace {

constexpr int kFlushMillis = 200;

// One thread reaches the points, so plain members do.
struct Plan {
  std::uint64_t nth = 1, seen = 0;
  std::string action;
  long sleep_ms = 0;
  std::string when;  // hits count once this file is there; empty: from the start
  bool before_commit = false;
};

Plan& plan() {
  static Plan made;
  return made;
}

std::vector<std::string_view> names(const Entry* list) {
  std::vector<std::string_view> found;
  for (; list != nullptr; list = list->next) found.emplace_back(list->name);
  std::sort(found.begin(), found.end());
  return found;
}

const Entry* find(const Entry* list, std::string_view name, std::string_view variable) {
  for (const Entry* entry = list; entry != nullptr; entry = entry->next) {
    if (entry->name == name) return entry;
  }
  throw ConfigError(fmt::format("{}: there is no \"{}\"; there are {}", variable, name,
                                fmt::join(names(list), ", ")));
}

std::string take(Environment& variables, const std::string& name) {
  const auto found = variables.find(name);
  if (found == variables.end()) return {};
  std::string value = found->second;
  variables.erase(found);
  return value;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1) {
    throw ConfigError(fmt::format("EVENTHUB_FAULT: \"{}\" is no number above 0", text));
  }
  return value;
}

// "name:nth:action"
const Entry* read_fault(const std::string& text) {
  const auto first = text.find(':');
  const auto second = text.find(':', first + 1);
  if (first == std::string::npos || second == std::string::npos) {
    throw ConfigError(fmt::format("EVENTHUB_FAULT: \"{}\" is not name:nth:action", text));
  }
  plan().nth = number<std::uint64_t>(std::string_view(text).substr(first + 1, second - first - 1));
  plan().action = text.substr(second + 1);
  if (plan().action.starts_with("sleep=")) {
    plan().sleep_ms = number<long>(std::string_view(plan().action).substr(6));
  } else if (plan().action != "kill" && plan().action != "stop") {
    throw ConfigError(
        fmt::format("EVENTHUB_FAULT: \"{}\" is none of kill, stop and sleep=MS", plan().action));
  }
  return find(points, text.substr(0, first), "EVENTHUB_FAULT");
}

void print_list() {
  std::string text;
  for (const auto name : names(points)) text += fmt::format("point {}\n", name);
  for (const auto name : names(mutants)) text += fmt::format("mutant {}\n", name);
  static_cast<void>(!::write(STDOUT_FILENO, text.data(), text.size()));
  ::_exit(0);
}

bool nth_hit() {
  if (!plan().when.empty() && ::access(plan().when.c_str(), F_OK) != 0) return false;
  return ++plan().seen == plan().nth;
}

}  // namespace

void hit() {
  if (nth_hit()) act();
}

void hit_before_commit() {
  plan().before_commit = plan().before_commit || nth_hit();
}

bool due_before_commit() {
  return std::exchange(plan().before_commit, false);
}

void act() {
  const std::string line =
      fmt::format("eventhubd: fault point {}: {}\n", armed.load()->name, plan().action);
  log::flush(kFlushMillis);
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
  if (plan().action == "kill") static_cast<void>(::raise(SIGKILL));
  if (plan().action == "stop") static_cast<void>(::raise(SIGSTOP));
  const timespec pause{plan().sleep_ms / 1'000, plan().sleep_ms % 1'000 * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

void arm(Environment& variables) {
  const std::string fault = take(variables, "EVENTHUB_FAULT");
  plan().when = take(variables, "EVENTHUB_FAULT_WHEN");
  const std::string mistake = take(variables, "EVENTHUB_MUTANT");
  if (fault == "list") print_list();
  if (!fault.empty()) armed = read_fault(fault);
  if (!mistake.empty()) mutant = find(mutants, mistake, "EVENTHUB_MUTANT");
  if (fault.empty() && mistake.empty()) return;
  log::warn("this process is about to fail on purpose", {{"fault", fault}, {"mutant", mistake}});
}

}  // namespace eventhub::fault

#endif
