// How `eventhubd listen` decides what to answer. Pure; listen.cpp calls it.
#include <charconv>

#include "app/listen.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/core/ids.hpp"

namespace eventhub::app {
namespace {

template <class T>
T number(std::string_view text, T lowest, T highest, std::string_view rule) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool in_range = value >= lowest && value <= highest;  // false for nan
  if (error != std::errc{} || end != text.data() + text.size() || !in_range) {
    throw ConfigError("--rule " + std::string(rule) + ": \"" + std::string(text) +
                      "\" is not a number from " + std::to_string(lowest) + " to " +
                      std::to_string(highest));
  }
  return value;
}

// `status` is what the share gets when there is a share, and what all get when there is none.
void apply(ListenRule& rule, std::string_view setting, std::string_view whole) {
  const auto equals = setting.find('=');
  const auto name = setting.substr(0, equals);
  const auto value = equals == std::string_view::npos ? "" : setting.substr(equals + 1);
  if (name == "status") {
    rule.status = number(value, 200, 599, whole);
  } else if (name == "share") {
    rule.fail_share = number(value, 0.0, 1.0, whole);
  } else if (name == "delay_ms") {
    rule.delay_ms = number(value, 0, 3'600'000, whole);
  } else {
    throw ConfigError("--rule " + std::string(whole) + ": \"" + std::string(name) +
                      "\" is none of status, share, delay_ms");
  }
}

}  // namespace

std::pair<std::string, ListenRule> parse_rule(std::string_view text, const ListenRule& base) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || !text.starts_with('/')) {
    throw ConfigError("--rule " + std::string(text) + ": expected /PATH:status=503,share=0.1,…");
  }
  ListenRule rule{
      .status = base.status, .fail_status = base.fail_status, .delay_ms = base.delay_ms};
  const std::string path(text.substr(0, colon));
  std::string_view rest = text.substr(colon + 1);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    apply(rule, rest.substr(0, comma), text);
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  if (rule.fail_share > 0) {
    rule.fail_status = rule.status == base.status ? base.fail_status : rule.status;
    rule.status = base.status;
  }
  return {path, rule};
}

int status_of(const ListenRule& rule, std::string_view message_id, std::string_view attempt,
              std::uint64_t seed) {
  std::string drawn(message_id);
  drawn.append("/").append(attempt).append("/").append(std::to_string(seed));
  const double share = static_cast<double>(stable_hash(drawn) >> 11) / 9007199254740992.0;  // 2^53
  return share < rule.fail_share ? rule.fail_status : rule.status;
}

}  // namespace eventhub::app
