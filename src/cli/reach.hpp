#pragma once
#include <string>

#include "eventhub/core/time.hpp"
#include "eventhub/http/egress.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::cli {

struct Reach {
  bool blocked = false;  // every address of it is one that the policy refuses
  std::string error;     // empty: a connection was made, and closed without a byte
};
// Whether something accepts connections at the place of `url`.
Reach reach(const http::Url& url, const http::EgressPolicy& policy, Millis limit);

}  // namespace eventhub::cli
