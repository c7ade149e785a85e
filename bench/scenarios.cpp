// Reads scenario files; the only one here that knows toml++. Which names and values there are is
// checked by options.cpp, against the options themselves.
#include "bench/scenarios.hpp"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <filesystem>
#include <stdexcept>

namespace eventhub::bench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const Scenario& scenario, std::string_view key, std::string_view what) {
  throw std::invalid_argument(fmt::format("{}: {} {}", scenario.file, key, what));
}

std::string value_of(const Scenario& scenario, std::string_view key, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* fraction = node.as_floating_point()) return fmt::format("{}", fraction->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  fail(scenario, key, "is neither a text nor a number nor true or false");
}

std::vector<std::string> texts_of(const Scenario& scenario, std::string_view key,
                                  const toml::node& node) {
  std::vector<std::string> texts;
  const toml::array* array = node.as_array();
  if (array == nullptr) fail(scenario, key, "is not a list of texts");
  for (const toml::node& item : *array) {
    if (!item.is_string()) fail(scenario, key, "is not a list of texts");
    texts.push_back(item.as_string()->get());
  }
  return texts;
}

void take(Scenario& scenario, std::string_view key, const toml::node& node) {
  if (key == "about") {
    scenario.about = value_of(scenario, key, node);
  } else if (key == "hub") {
    scenario.hub = texts_of(scenario, key, node);
  } else if (key == "restart") {
    if (!node.is_boolean()) fail(scenario, key, "is neither true nor false");
    scenario.restart = node.as_boolean()->get();
  } else if (key == "disturb" && node.is_table()) {
    for (const auto& [name, value] : *node.as_table()) {
      const std::string full = "disturb." + std::string(name.str());
      scenario.disturb.emplace_back(name.str(), value_of(scenario, full, value));
    }
  } else {
    scenario.load.emplace_back(key, value_of(scenario, key, node));
  }
}

}  // namespace

Scenario read_scenario(const std::string& name_or_path, const std::string& directory) {
  Scenario scenario;
  const bool path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml");
  scenario.file = path ? name_or_path : directory + "/" + name_or_path + ".toml";
  scenario.name = fs::path(scenario.file).stem();
  if (!fs::is_regular_file(scenario.file)) {
    throw std::invalid_argument(
        fmt::format("there is no scenario {} ({})", name_or_path, scenario.file));
  }
  toml::table table;
  try {
    table = toml::parse_file(scenario.file);
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(
        fmt::format("{}:{}: {}", scenario.file, error.source().begin.line, error.description()));
  }
  for (const auto& [key, node] : table) take(scenario, key.str(), node);
  if (scenario.about.empty()) fail(scenario, "about", "is missing: one line for --list");
  return scenario;
}

std::vector<Scenario> list_scenarios(const std::string& directory) {
  std::vector<Scenario> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".toml") continue;
    all.push_back(read_scenario(entry.path().string(), directory));
  }
  if (error) throw std::invalid_argument(directory + ": " + error.message());
  std::ranges::sort(all, {}, &Scenario::name);
  return all;
}

}  // namespace eventhub::bench
