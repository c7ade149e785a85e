// Values of options: reading text, checking type and range, writing TOML. Pure; knows the types of
// the option table and no option by name.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <type_traits>

#include "core/options.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::array kFormats{"text", "json"};
constexpr std::array kLevels{"trace", "debug", "info", "warn", "error"};

// Calls `f` with a reference to the option's value.
template <class F>
auto visit_slot(const Option& option, Config& config, F&& f) {
  return std::visit([&f](auto* value) { return f(*value); }, option.slot(config));
}

template <class T>
inline constexpr bool is_duration = std::is_same_v<T, Millis> || std::is_same_v<T, Seconds>;
template <class T>
inline constexpr bool is_number =
    is_duration<T> || (std::is_integral_v<T> && !std::is_same_v<T, bool>);
using Texts = std::vector<std::string>;

std::string_view trim(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const auto first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::int64_t integer_from(std::string_view text) {
  text = trim(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw std::invalid_argument(fmt::format("\"{}\" is not an integer", text));
  return value;
}

bool boolean_from(std::string_view text) {
  text = trim(text);
  for (const auto* yes : {"true", "1", "yes", "on"})
    if (text == yes) return true;
  for (const auto* no : {"false", "0", "no", "off"})
    if (text == no) return false;
  throw std::invalid_argument(fmt::format("\"{}\" is not true or false", text));
}

Texts list_from(std::string_view text) {
  Texts items;
  while (!trim(text).empty()) {
    const auto comma = std::min(text.find(','), text.size());
    items.emplace_back(trim(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::int64_t number_from(const Option& option, const RawValue& raw) {
  const auto* value = std::get_if<std::int64_t>(&raw);
  if (value == nullptr) throw std::invalid_argument("is not an integer");
  if (*value < option.min || *value > option.max)
    throw std::invalid_argument(fmt::format("{} is not in {}", *value, range_text(option)));
  return *value;
}

void check_text(const std::string& text) {
  if (text.size() > kTextBytesMax)
    throw std::invalid_argument(fmt::format("is longer than {} bytes", kTextBytesMax));
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), control))
    throw std::invalid_argument("has a control character in it");
}

template <class Enum, class Names>
Enum choice_from(const std::string& text, const Names& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end())
    throw std::invalid_argument(
        fmt::format("\"{}\" is not one of {}", text, fmt::join(names, ", ")));
  return static_cast<Enum>(found - names.begin());
}

const std::string& text_of(const RawValue& raw) {
  const auto* text = std::get_if<std::string>(&raw);
  if (text == nullptr) throw std::invalid_argument("is not a text");
  return *text;
}

void store(const Option&, std::string& slot, RawValue raw) {
  check_text(text_of(raw));
  slot = text_of(raw);
}

void store(const Option&, bool& slot, RawValue raw) {
  const auto* value = std::get_if<bool>(&raw);
  if (value == nullptr) throw std::invalid_argument("is not true or false");
  slot = *value;
}

void store(const Option&, Texts& slot, RawValue raw) {
  if (const auto* text = std::get_if<std::string>(&raw)) raw = list_from(*text);
  auto* items = std::get_if<Texts>(&raw);
  if (items == nullptr) throw std::invalid_argument("is not a list of texts");
  for (const std::string& item : *items) {
    if (item.empty()) throw std::invalid_argument("has an empty element");
    check_text(item);
  }
  slot = std::move(*items);
}

void store(const Option&, log::Level& slot, RawValue raw) {
  slot = choice_from<log::Level>(text_of(raw), kLevels);
}

void store(const Option&, log::Format& slot, RawValue raw) {
  slot = choice_from<log::Format>(text_of(raw), kFormats);
}

template <class T>
  requires is_number<T>
void store(const Option& option, T& slot, RawValue raw) {
  slot = static_cast<T>(number_from(option, raw));
}

std::string literal(const std::string& value) {
  return toml_string(value);
}
std::string literal(bool value) {
  return value ? "true" : "false";
}
std::string literal(const Texts& values) {
  Texts quoted;
  for (const std::string& value : values) quoted.push_back(toml_string(value));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}
std::string literal(log::Level value) {
  return toml_string(kLevels.at(static_cast<std::size_t>(value)));
}
std::string literal(log::Format value) {
  return toml_string(kFormats.at(static_cast<std::size_t>(value)));
}
template <class T>
  requires is_number<T>
std::string literal(T value) {
  if constexpr (is_duration<T>) {
    return std::to_string(value.count());
  } else {
    return std::to_string(value);
  }
}

std::string_view type_of(const std::string&) {
  return "text";
}
std::string_view type_of(bool) {
  return "true or false";
}
std::string_view type_of(const Texts&) {
  return "list of texts";
}
std::string_view type_of(log::Level) {
  return "one of trace, debug, info, warn, error";
}
std::string_view type_of(log::Format) {
  return "one of text, json";
}
template <class T>
  requires is_number<T>
std::string_view type_of(T) {
  return "integer";
}

}  // namespace

std::string type_name(const Option& option) {
  Config config;
  return visit_slot(option, config, [](const auto& slot) { return std::string(type_of(slot)); });
}

std::string range_text(const Option& option) {
  if (option.min == 0 && option.max == 0) return {};
  return fmt::format("{}..{}", option.min, option.max);
}

RawValue from_text(const Option& option, const std::string& text) {
  Config config;
  return visit_slot(option, config, [&text](const auto& slot) -> RawValue {
    using T = std::remove_cvref_t<decltype(slot)>;
    if constexpr (std::is_same_v<T, bool>) {
      return boolean_from(text);
    } else if constexpr (is_number<T>) {
      return integer_from(text);
    } else {
      return text;
    }
  });
}

void assign(const Option& option, Config& config, RawValue value) {
  visit_slot(option, config, [&](auto& slot) { store(option, slot, std::move(value)); });
}

std::string to_toml(const Option& option, const Config& config) {
  Config copy = config;
  return visit_slot(option, copy, [](const auto& slot) { return literal(slot); });
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace eventhub
