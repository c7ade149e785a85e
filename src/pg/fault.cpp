// A fault between the last statement of a pipeline and its commit; pipeline.cpp calls it.
#include "pg/fault.hpp"

#ifdef EVENTHUB_FAULTS

#include <poll.h>

namespace eventhub::pg {
namespace {

constexpr int kLongestMillis = 2'000;  // a statement may wait for a lock

}  // namespace

// The server answers when it comes to the flush request, which is after the last statement.
void act_in_transaction(PGconn* conn) {
  PQsendFlushRequest(conn);
  pollfd socket{PQsocket(conn), POLLOUT, 0};
  while (PQflush(conn) == 1) ::poll(&socket, 1, kLongestMillis);
  socket.events = POLLIN;
  ::poll(&socket, 1, kLongestMillis);
  fault::act();
}

}  // namespace eventhub::pg

#endif
