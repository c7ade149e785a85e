// The rules of deliver_after and expires_at. publish() in SQL has the same.
#include "eventhub/core/event_times.hpp"

#include <fmt/format.h>

namespace eventhub {
namespace {

InputError wrong_time(std::string_view name, std::string_view what) {
  return {fmt::format("{} {}", name, what), fmt::format("#/{}", name)};
}

}  // namespace

std::optional<InputError> wrong_times(const NewEvent& event, const TimeRules& rules) {
  if (!event.timed()) return std::nullopt;
  const std::string_view after = rules.cloud ? "deliverafter" : "deliver_after";
  const std::string_view end = rules.cloud ? "expiresat" : "expires_at";
  if (event.deliver_after && *event.deliver_after > rules.now + rules.deliver_after_max) {
    return wrong_time(
        after, fmt::format("must be at most {} seconds ahead", rules.deliver_after_max.count()));
  }
  if (!event.expires_at) return std::nullopt;
  if (*event.expires_at <= rules.now) return wrong_time(end, "must not be past");
  if (event.deliver_after && *event.expires_at <= *event.deliver_after) {
    return wrong_time(end, fmt::format("must be later than {}", after));
  }
  return std::nullopt;
}

}  // namespace eventhub
