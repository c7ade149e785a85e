#pragma once
#include <string>

#include "eventhub/core/event.hpp"

namespace eventhub::http {

// An event as a CloudEvent 1.0 for a receiver: the body of the structured mode, the header lines
// ce-… of the binary one.
std::string structured_cloud_event(const Event& event);
void append_cloud_event_headers(std::string& out, const Event& event);

}  // namespace eventhub::http
