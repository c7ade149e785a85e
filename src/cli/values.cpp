// Reads what the command line holds as text. Pure, table-tested.
#include "cli/values.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "cli/error.hpp"
#include "eventhub/core/time_text.hpp"

namespace eventhub::cli {
namespace {

constexpr std::int64_t kAgoMax = 100'000;

template <class T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Seconds> unit_of(char letter) {
  switch (letter) {
    case 's':
      return Seconds{1};
    case 'm':
      return Seconds{60};
    case 'h':
      return Seconds{3'600};
    case 'd':
      return Seconds{86'400};
    default:
      return std::nullopt;
  }
}

// "15m"; `meaning` is for the refusal.
Seconds time_span(std::string_view name, std::string_view text, std::string_view meaning) {
  const auto unit = text.empty() ? std::nullopt : unit_of(text.back());
  const auto count =
      unit ? whole_number<std::int64_t>(text.substr(0, text.size() - 1)) : std::nullopt;
  if (!count || *count < 0 || *count > kAgoMax) {
    throw UsageError(
        fmt::format("--{}: \"{}\" is no time: 2026-01-31T12:00:00Z, or {}: 90s, 15m, 2h, 7d", name,
                    text, meaning));
  }
  return *count * *unit;
}

}  // namespace

std::optional<std::string> Values::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second.back());
}

std::vector<std::string> Values::all(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::string Values::needed(std::string_view name) const {
  auto value = text(name);
  if (!value) throw UsageError(fmt::format("{} is needed", name));
  return *value;
}

std::int64_t Values::integer(std::string_view name, std::int64_t lowest, std::int64_t highest,
                             std::int64_t otherwise) const {
  const auto given = text(name);
  if (!given) return otherwise;
  const auto value = whole_number<std::int64_t>(*given);
  if (!value || *value < lowest || *value > highest) {
    throw UsageError(fmt::format("--{}: \"{}\" is not a whole number from {} to {}", name, *given,
                                 lowest, highest));
  }
  return *value;
}

std::optional<double> Values::positive(std::string_view name) const {
  const auto given = text(name);
  if (!given) return std::nullopt;
  const auto value = whole_number<double>(*given);
  if (!value || !std::isfinite(*value) || *value <= 0) {
    throw UsageError(fmt::format("--{}: \"{}\" is not a number above 0", name, *given));
  }
  return value;
}

std::string time_argument(std::string_view name, std::string_view text, Time now) {
  if (parse_time(text)) return std::string(text);
  return format_time(now - time_span(name, text, "how long ago"));
}

std::string time_to_come(std::string_view name, std::string_view text, Time now) {
  if (parse_time(text)) return std::string(text);
  return format_time(now + time_span(name, text, "in how long"));
}

}  // namespace eventhub::cli
