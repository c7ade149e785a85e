// Reads a TOML file into (option, value, file:line) triples, or any TOML into JSON; the only file
// that knows toml++.
#include <fmt/format.h>

#include <toml++/toml.h>
#include <fstream>
#include <sstream>

#include "core/options.hpp"
#include "eventhub/core/toml_json.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ConfigError(fmt::format("{}: cannot be read", path));
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw ConfigError(fmt::format("{}: cannot be read (is it a directory?)", path));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    throw ConfigError(fmt::format("{}: is larger than {} bytes", path, kFileBytesMax));
  return text;
}

RawValue list_value(const toml::array& array) {
  std::vector<std::string> items;
  for (const toml::node& node : array) {
    const auto* item = node.as_string();
    if (item == nullptr) throw std::invalid_argument("is not a list of texts");
    items.push_back(item->get());
  }
  return items;
}

RawValue value_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* array = node.as_array()) return list_value(*array);
  if (node.is_table()) throw std::invalid_argument("is not a section");
  throw std::invalid_argument("has a type that no option has (a fraction or a date)");
}

struct Reader {
  const std::string& path;
  const SetValue& set;

  std::string origin(const toml::source_region& source) const {
    return fmt::format("{}:{}", path, source.begin.line);
  }

  void table(const toml::table& table, const std::string& prefix) const {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      if (find_option(name) != nullptr) {
        value(*find_option(name), node, origin(key.source()));
      } else if (node.is_table() && is_section(name)) {
        this->table(*node.as_table(), name + ".");
      } else {
        unknown(name, origin(key.source()));
      }
    }
  }

  void value(const Option& option, const toml::node& node, const std::string& where) const {
    try {
      set(option, value_of(node), where);
    } catch (const std::invalid_argument& wrong) {
      throw ConfigError(fmt::format("{}: {}: {}", where, option.name, wrong.what()));
    }
  }

  static bool is_section(const std::string& name) {
    for (const Option& option : options())
      if (option.name.starts_with(name + ".")) return true;
    return false;
  }

  [[noreturn]] static void unknown(const std::string& name, const std::string& where) {
    const std::string near = nearest_name(name, false);
    throw ConfigError(fmt::format("{}: unknown option {}{}", where, toml_string(name),
                                  near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
  }
};

toml::table parsed(std::string_view text, std::string_view path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    throw ConfigError(
        fmt::format("{}:{}: {}", path, error.source().begin.line, error.description()));
  }
}

}  // namespace

void read_toml_file(const std::string& path, const SetValue& set) {
  const toml::table table = parsed(read_file(path), path);
  Reader{path, set}.table(table, "");
}

std::string toml_to_json(std::string_view text, std::string_view path) {
  const toml::table table = parsed(text, path);
  std::ostringstream out;
  out << toml::json_formatter{table};
  return out.str();
}

}  // namespace eventhub
