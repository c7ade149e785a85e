// Finds options by name, and the name somebody probably meant.
#include <algorithm>
#include <numeric>

#include "core/options.hpp"

namespace eventhub {
namespace {

// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string_view last_part(std::string_view name) {
  return name.substr(name.find_last_of('.') + 1);  // npos + 1 == 0
}

}  // namespace

const Option* find_option(std::string_view name) {
  const auto found = std::find_if(options().begin(), options().end(),
                                  [name](const Option& option) { return option.name == name; });
  return found == options().end() ? nullptr : &*found;
}

std::string nearest_name(std::string_view mistyped, bool env) {
  constexpr std::size_t kLengthMax = 100;
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, mistyped.size() / 4) + 1;
  if (mistyped.size() > kLengthMax) return best;
  for (const Option& option : options()) {
    const std::string& name = env ? option.env : option.name;
    // The right name in the wrong section, or a variable with a prefix it does not have, is near.
    const bool moved =
        env ? mistyped.ends_with("_" + name) : last_part(name) == last_part(mistyped);
    const std::size_t off = moved ? 1 : distance(mistyped, name);
    if (off >= best_distance) continue;
    best_distance = off;
    best = name;
  }
  return best;
}

}  // namespace eventhub
