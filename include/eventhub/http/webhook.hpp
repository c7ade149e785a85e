#pragma once
#include <memory>
#include <string>
#include <unordered_map>

#include "eventhub/core/event.hpp"
#include "eventhub/core/subscriber.hpp"
#include "eventhub/http/sign.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::http {

// A subscriber made ready for sending: parsed URL, own header lines, signing contexts. Kept per
// row.
struct Endpoint {
  SubscriberPtr row;
  std::string error;  // not empty: the URL or a secret cannot be used, nothing is sent
  Url url;
  std::string headers;
  std::unique_ptr<Signer> signer;
};

class Endpoints {
 public:
  // Valid until the next call with a newer row of the same subscriber; hold the pointer while
  // sending.
  std::shared_ptr<Endpoint> of(const SubscriberPtr& row);

 private:
  std::unordered_map<std::int32_t, std::shared_ptr<Endpoint>> endpoints_;
};

// Attempt number `attempt` of a message, from 1.
struct Attempt {
  MessageRef ref;
  int attempt = 1;
};
// The header lines of one attempt (semantics.md "The delivered request"); `body` is what will be
// sent.
std::string request_headers(Endpoint& endpoint, Attempt attempt, const Event& event,
                            std::string_view body, Time now);
// The payload's bytes, or what is made around them as the subscriber wants it, in `made`.
std::string_view body_of(const Subscriber& subscriber, MessageRef ref, const Event& event,
                         std::string& made);

}  // namespace eventhub::http
