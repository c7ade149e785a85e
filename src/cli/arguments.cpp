// Turns command_table.cpp into options of CLI11, and all options there are into words for the
// completion of a shell (completion.cpp). Called by app/cli.cpp.
#include <CLI/CLI.hpp>
#include <sstream>

#include "cli/command_table.hpp"
#include "cli/completion.hpp"
#include "eventhub/cli/cli.hpp"

namespace eventhub::cli {
namespace {

using ArgKind = Argument::Kind;

using ManyValues = std::vector<std::string>;

CLI::Option* add_values(CLI::App& command, const Argument& argument, const std::string& flag,
                        Invocation& invocation) {
  std::vector<std::string>& values = invocation.values[argument.name];
  if (argument.kind == ArgKind::positions || argument.kind == ArgKind::repeated) {
    const auto take = [&values](const ManyValues& given) { values = given; };
    auto* option = command.add_option_function<ManyValues>(flag, take, argument.meaning);
    return argument.kind == ArgKind::positions ? option->expected(1, 1'000)
                                               : option->allow_extra_args(false);
  }
  // No list: CLI11 would take a payload in brackets apart.
  const auto take = [&values](const std::string& given) { values = {given}; };
  return command.add_option_function<std::string>(flag, take, argument.meaning);
}

void add_argument(CLI::App& command, const Argument& argument, Invocation& invocation,
                  const std::string& group) {
  const std::string& name = argument.name;
  const bool word = argument.kind == ArgKind::position || argument.kind == ArgKind::positions;
  const std::string flag = word ? name : (name == "file" ? "-f,--" : "--") + name;
  if (argument.kind == ArgKind::flag) {
    std::vector<std::string>& values = invocation.values[name];
    const auto set = [&values] { values = {"true"}; };
    command.add_flag_callback(flag, set, argument.meaning)->group(group);
    return;
  }
  auto* option = add_values(command, argument, flag, invocation);
  option->type_name(argument.type)->required(argument.needed);
  if (!word) option->group(group);
}

void add_command(CLI::App& parent, const CommandSpec& spec, Invocation& invocation) {
  auto* command = parent.add_subcommand(spec.name, spec.meaning);
  command->callback([&invocation, path = spec.path()] { invocation.path = path; });
  for (const Argument& argument : spec.arguments) {
    add_argument(*command, argument, invocation, "Options");
  }
  for (const Argument& argument : place_arguments()) {
    add_argument(*command, argument, invocation, "Hub and output");
  }
  std::string footer = "Examples:\n";
  std::istringstream lines(spec.examples);
  for (std::string line; std::getline(lines, line);) footer += "  " + line + "\n";
  command->footer(footer + "\nExit code: 0 done, 1 refused or failed, 2 misused, 3 not reachable.");
  command->fallthrough();
}

CompletionWord word_of(const CLI::Option& option) {
  return {"--" + option.get_lnames().front(), option.get_description(),
          option.get_items_expected_max() > 0};
}

void collect(const CLI::App& app, const std::string& path, std::vector<CompletionPlace>& places) {
  CompletionPlace place{path, {}, {}};
  for (const CLI::App* command : app.get_subcommands({})) {
    place.commands.push_back({command->get_name(), command->get_description(), false});
  }
  for (const CLI::Option* option : app.get_options({})) {
    const bool hidden = option->get_group().empty();
    if (!hidden && !option->get_lnames().empty()) place.options.push_back(word_of(*option));
  }
  places.push_back(std::move(place));
  for (const CLI::App* command : app.get_subcommands({})) {
    collect(*command, path.empty() ? command->get_name() : path + " " + command->get_name(),
            places);
  }
}

}  // namespace

void add_commands(CLI::App& app, Invocation& invocation) {
  std::map<std::string, CLI::App*> groups;
  for (const CommandSpec& spec : command_table()) {
    CLI::App* parent = &app;
    if (!spec.group.empty()) {
      CLI::App*& group = groups[spec.group];
      if (group == nullptr) {
        group = app.add_subcommand(spec.group, group_meaning(spec.group));
        group->require_subcommand(1)->fallthrough();
      }
      parent = group;
    }
    add_command(*parent, spec, invocation);
  }
}

std::string completion_script(const CLI::App& app, const std::string& shell) {
  std::vector<CompletionPlace> places;
  collect(app, "", places);
  return completion_for(shell, places);
}

}  // namespace eventhub::cli
