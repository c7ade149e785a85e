#pragma once
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/core/secret_box.hpp"

namespace eventhub::api {

// Members of a request to write a subscriber, as columns of its table.
struct SubscriberBody {
  std::string fields;  // a JSON object of them that PostgreSQL can read
  std::string names;   // of the members, for the log
  std::vector<InputError> faults;
  std::string new_secret;  // made for the subscriber, as none was given
};

// What the table cannot judge itself: names of members, kinds of values, the webhook's URL and
// whether its address may be called, names of headers. `auth` becomes the header Authorization.
// Secrets and the values of headers are sealed by `box`.
// `whole`: a new row, which gets a secret, not a change to one, where null takes a header away.
SubscriberBody read_subscriber_body(const std::vector<JsonMember>& members, const Config& config,
                                    const SecretBox& box, bool whole);

}  // namespace eventhub::api
