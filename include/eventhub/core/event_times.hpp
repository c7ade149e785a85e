#pragma once
#include <optional>

#include "eventhub/core/json.hpp"

namespace eventhub {

// Whether an event may have the times it came with. What the way it came calls their members is
// told with the fault.
struct TimeRules {
  Time now;
  Seconds deliver_after_max;  // how far ahead it may be
  bool cloud = false;         // deliverafter and expiresat, of a CloudEvent
};
// deliver_after may be past (then it does nothing); expires_at may not, and comes after
// deliver_after.
std::optional<InputError> wrong_times(const NewEvent& event, const TimeRules& rules);

}  // namespace eventhub
