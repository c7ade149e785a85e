// API keys without their storage: scopes, what a name may be, what is shown. Pure. Called by the
// API (src/api/keys.cpp) and the command line (src/app/keys.cpp).
#include "eventhub/core/api_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eventhub/core/time_text.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kNameMax = 100;
constexpr double kRateMin = 0.001, kRateMax = 1'000'000;
constexpr std::int64_t kBurstMax = 1'000'000;
constexpr std::array kScopes{Scope::publish, Scope::read, Scope::admin};

// Nothing that a terminal, a log or a table would take for something else.
bool is_name(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.:/@-").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), plain);
}

InputError not_a_name(std::string_view member) {
  return {fmt::format("{} must be 1 to {} characters of A-Z a-z 0-9 _ . : / @ -", member, kNameMax),
          fmt::format("#/{}", member)};
}

// A rate alone has the burst of a second.
std::optional<InputError> complete_limit(NewApiKey& key) {
  if (!key.rate) {
    if (!key.burst) return std::nullopt;
    return InputError{"burst needs rate", "#/burst"};
  }
  if (!(*key.rate >= kRateMin && *key.rate <= kRateMax)) {
    return InputError{"rate must be 0.001 to 1000000 requests per second", "#/rate"};
  }
  if (!key.burst) key.burst = std::max<std::int64_t>(1, std::llround(std::ceil(*key.rate)));
  if (*key.burst < 1 || *key.burst > kBurstMax) {
    return InputError{"burst must be 1 to 1000000 requests", "#/burst"};
  }
  return std::nullopt;
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += fmt::format(R"(,"{}":)", name);
  append_json_string(out, text);
}

}  // namespace

std::string_view to_string(Scope scope) {
  switch (scope) {
    case Scope::none:
      return "none";
    case Scope::publish:
      return "publish";
    case Scope::read:
      return "read";
    case Scope::admin:
      return "admin";
  }
  return "?";
}

std::optional<Scope> parse_scope(std::string_view text) {
  for (const Scope scope : kScopes) {
    if (text == to_string(scope)) return scope;
  }
  return std::nullopt;
}

std::vector<std::string_view> Scopes::names() const {
  std::vector<std::string_view> found;
  for (const Scope scope : kScopes) {
    if ((bits_ & bit(scope)) != 0) found.push_back(to_string(scope));
  }
  return found;
}

std::optional<InputError> complete(NewApiKey& key) {
  if (!is_name(key.name)) return not_a_name("name");
  if (key.producer.empty()) key.producer = key.name;
  if (!is_name(key.producer)) return not_a_name("producer");
  if (key.name == kSettingsKeyName) {
    return InputError{"name is that of the key in the settings", "#/name"};
  }
  if (key.scopes.empty()) {
    return InputError{"scopes must name at least one of publish, read, admin", "#/scopes"};
  }
  return complete_limit(key);
}

std::string to_json(const ApiKeyInfo& key, std::string_view token) {
  std::string out = fmt::format(R"({{"id":"{}")", to_string(key.id));
  append_member(out, "name", key.name);
  append_member(out, "producer", key.producer);
  out += fmt::format(R"(,"scopes":["{}"])", fmt::join(key.scopes.names(), R"(",")"));
  out += key.limit
             ? fmt::format(R"(,"rate":{},"burst":{})", key.limit->per_second, key.limit->burst)
             : std::string(R"(,"rate":null,"burst":null)");
  append_member(out, "created_at", format_time(key.created_at));
  append_member(out, "created_by", key.created_by);
  if (key.last_used_at) {
    append_member(out, "last_used_at", format_time(*key.last_used_at));
  } else {
    out += R"(,"last_used_at":null)";
  }
  if (!token.empty()) append_member(out, "token", token);
  return out + "}";
}

std::string describe(const ApiKeyInfo& key) {
  std::string text = fmt::format("{}, producer {}, scopes {}", key.name, key.producer,
                                 fmt::join(key.scopes.names(), ","));
  if (key.limit) text += fmt::format(", {}/s, burst {}", key.limit->per_second, key.limit->burst);
  return text;
}

}  // namespace eventhub
