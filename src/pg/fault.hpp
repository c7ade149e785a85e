#pragma once
#include "eventhub/core/fault.hpp"

// EVENTHUB_FAULT_IN_TRANSACTION(conn): where EVENTHUB_FAULT_BEFORE_COMMIT takes effect.
#ifdef EVENTHUB_FAULTS
#include <libpq-fe.h>

namespace eventhub::pg {
// Has the server execute what the pipeline holds, waits for that, and then does what was asked for.
void act_in_transaction(PGconn* conn);
}  // namespace eventhub::pg

#define EVENTHUB_FAULT_IN_TRANSACTION(conn) \
  if (::eventhub::fault::due_before_commit()) ::eventhub::pg::act_in_transaction(conn)
#else
#define EVENTHUB_FAULT_IN_TRANSACTION(conn) static_cast<void>(0)
#endif
