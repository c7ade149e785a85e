// From a command that was given to its function and its exit code. Called by app/commands.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "cli/command_table.hpp"
#include "cli/error.hpp"
#include "eventhub/cli/cli.hpp"

namespace eventhub::cli {
namespace {

const CommandSpec& spec_of(const std::string& path) {
  const auto& table = command_table();
  const auto same = [&path](const CommandSpec& spec) { return spec.path() == path; };
  const auto found = std::find_if(table.begin(), table.end(), same);
  if (found == table.end() || found->run == nullptr) {
    throw std::logic_error("no command of a hub's API: " + path);
  }
  return *found;
}

Values values_of(const Invocation& invocation) {
  Values values;
  for (const auto& [name, given] : invocation.values) {
    for (const std::string& value : given) values.add(name, value);
  }
  return values;
}

int run_command(const CommandSpec& spec, const Values& values, const Environment& environment,
                const std::function<std::string()>& own_url) {
  std::string warning;
  const ApiPlace place = api_place(values, environment, own_url, warning);
  if (!warning.empty()) tell(warning);
  Session session(place, values.has("json"));
  const int code = spec.run(session, values);
  if (std::cout.flush()) return code;
  throw RefusedError("standard output cannot be written; is the disk full?");
}

}  // namespace

int run(const Invocation& invocation, const Environment& environment,
        const std::function<std::string()>& own_url) {
  const CommandSpec& spec = spec_of(invocation.path);
  try {
    return run_command(spec, values_of(invocation), environment, own_url);
  } catch (const UsageError& error) {
    tell(error.what());
    return kMisused;
  } catch (const RefusedError& error) {
    tell(error.what());
    return kRefused;
  } catch (const CallFailed& error) {
    tell(fmt::format("cannot reach the hub at {}{}", error.what(),
                     error.sent ? "; what was asked for may have been done" : ""));
    return kNotReachable;
  }
}

}  // namespace eventhub::cli
