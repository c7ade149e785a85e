#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/time.hpp"

namespace eventhub::cli {

// What was given on the command line, by the names of command_table.hpp.
class Values {
 public:
  void add(const std::string& name, std::string value) {
    values_[name].push_back(std::move(value));
  }
  bool has(std::string_view name) const { return values_.contains(name); }
  // The last one.
  std::optional<std::string> text(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
  // These throw UsageError.
  std::string needed(std::string_view name) const;
  std::int64_t integer(std::string_view name, std::int64_t lowest, std::int64_t highest,
                       std::int64_t otherwise) const;
  std::optional<double> positive(std::string_view name) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// A point in time for the API: RFC 3339 as it is, or how long ago ("90s", "15m", "2h", "7d").
// Throws UsageError naming the option.
std::string time_argument(std::string_view name, std::string_view text, Time now);

// The same for what is to come: "15m" is in a quarter of an hour.
std::string time_to_come(std::string_view name, std::string_view text, Time now);

}  // namespace eventhub::cli
