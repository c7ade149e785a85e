#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/session.hpp"

namespace eventhub::cli {

struct Argument {
  enum class Kind {
    text,
    flag,
    repeated,   // may be given more than once
    position,   // a word without a name
    positions,  // one or more
  };
  std::string name;  // without dashes
  std::string meaning;
  Kind kind = Kind::text;
  std::string type = "TEXT";
  bool needed = false;
};

// A command and everything `--help` and the completion of a shell say of it.
struct CommandSpec {
  std::string group;  // "events"; empty for a command of one word
  std::string name;
  std::string meaning;
  std::string examples;  // lines
  std::vector<Argument> arguments;
  // Null for what needs more than a hub's API (`doctor`).
  int (*run)(Session& session, const Values& values) = nullptr;

  std::string path() const { return group.empty() ? name : group + " " + name; }
};

const std::vector<CommandSpec>& command_table();
std::string group_meaning(std::string_view group);
// --url, --key and so on: those of every command that speaks with a hub.
const std::vector<Argument>& place_arguments();

// command_table_subscribers.cpp
std::vector<CommandSpec> subscriber_commands();

}  // namespace eventhub::cli
