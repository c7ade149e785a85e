#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "eventhub/core/secret_box.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

struct Resealed {
  std::int64_t changed = 0;           // rows
  std::vector<std::string> problems;  // rows that could not be read, and why
};

// Stores secrets and headers of all subscribers as `box` would seal them now: those that are in
// clear and those that are sealed with another key of its own. Some rows at a time; a row that
// somebody changes meanwhile keeps that change.
Task<Resealed> reseal(Database& database, const SecretBox& box);

}  // namespace eventhub::store
