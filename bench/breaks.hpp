#pragma once
#include "bench/checker.hpp"

// Makes one record of a log wrong, to see that the checker finds it.
namespace eventhub::bench {

// Throws std::invalid_argument for a name that is none.
Fault fault_named(std::string_view name);

// Throws std::runtime_error when the log has no place for this fault (`order` and `overlap` need
// ordered subscribers and a key that was used twice).
void break_logs(Fault fault, const Shape& shape, Logs& logs);

}  // namespace eventhub::bench
