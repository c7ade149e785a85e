#pragma once
#include <stdexcept>
#include <string>

namespace eventhub::pg {

// A failed statement or connection. `sqlstate` is empty when the server said nothing.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, std::string state, bool lost, bool unknown)
      : std::runtime_error(message),
        sqlstate(std::move(state)),
        connection_lost(lost),
        outcome_unknown(unknown) {}
  std::string sqlstate;
  bool connection_lost;  // the connection must not be used again
  bool outcome_unknown;  // the commit may or may not have happened
  // What the server said, for people (the first line only; details may hold payloads), and the name
  // of the violated constraint. Empty when there is none.
  std::string server_message;
  std::string constraint;

  // Classes 21, 22, 23: this data is at fault, not the database; the batch may be split.
  bool bad_data() const {
    return sqlstate.size() == 5 && sqlstate[0] == '2' && sqlstate[1] >= '1' && sqlstate[1] <= '3';
  }
  // Class 23514 raised by tuple routing: no partition for this row yet.
  bool missing_partition() const;
};

}  // namespace eventhub::pg
