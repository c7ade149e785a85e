#pragma once
#include <span>

#include "eventhub/pg/statement.hpp"
#include "ingest_queue.hpp"

namespace eventhub::store {

// The pipeline that commits `rows`: the ordering lock as a statement of its own, so that the
// snapshot of the second is younger than the lock, then one INSERT. `each`: it tells of every row
// that it writes, not only of the last; of a batch of one it always does.
std::vector<pg::Call> insert_calls(std::span<const WaitingPtr> rows, std::int32_t lock_space,
                                   bool each);
struct Written {
  std::vector<Event> events;
  std::int64_t subscribers_version = 0;  // that the INSERT saw
};

// Sets the results of `rows` from the INSERT's answer; the highest event_seq written, 0 for none.
// What was written, as far as the INSERT told of it, goes to `written`, out of `rows`.
std::int64_t read_inserted(std::span<const WaitingPtr> rows, const pg::Result& result,
                           Written& written);

extern const pg::Statement kIngestPing;
// last_value of the sequence.
extern const pg::Statement kIngestLastSeq;

}  // namespace eventhub::store
