#pragma once
#include "eventhub/core/subscriber.hpp"
#include "eventhub/pg/result.hpp"

namespace eventhub::store {

// A row of the statement subscribers_load. One that cannot be used becomes an inactive subscriber
// and an error in the log: a bad row must not stop the others.
SubscriberPtr read_subscriber(const pg::Result& result, int row);

}  // namespace eventhub::store
