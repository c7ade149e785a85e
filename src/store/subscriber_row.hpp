#pragma once
#include "eventhub/core/secret_box.hpp"
#include "eventhub/core/subscriber.hpp"
#include "eventhub/pg/result.hpp"

namespace eventhub::store {

// A row of the statement subscribers_load. One that cannot be used becomes an inactive subscriber
// and an error in the log: a bad row must not stop the others. One whose secrets `box` cannot open
// becomes a paused one: its messages wait until the key is there.
SubscriberPtr read_subscriber(const pg::Result& result, int row, const SecretBox& box);

}  // namespace eventhub::store
