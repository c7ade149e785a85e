#pragma once
#include <optional>
#include <string>

#include "eventhub/store/history.hpp"

namespace eventhub::store {

// A statement that reads one window and writes one row as JSON. Parameters: $1 and $2 the window
// (after, up to], $3 and $4 the cursor (event_seq, sid), $5 rows, then those of filter_params.
// Columns: event_seq, sid, id of the event, JSON.
struct HistoryQuery {
  const pg::Statement& statement;
  std::string (*text)(const pg::Result& rows, int row);
};

// $6 event_type, $7 organization_id, $8 user_id, $9 since, $10 until; and for messages $11 the
// subscriber's id, $12 the status.
pg::Params history_params(std::int64_t after, std::int64_t upto, MessageRef before, int limit,
                          const HistoryFilter& filter, bool of_messages);

// The last event_seq of (after, upto] up to which every event was accepted before `time`; `after`
// when there is none.
Task<std::int64_t> accepted_before(pg::Connection& connection, std::int64_t after,
                                   std::int64_t upto, Time time);

// Reads windows from `before` down until the page is full, the rows end, or enough was looked at.
Task<HistoryPage> scan_history(pg::Connection& connection, HistoryQuery query, HistoryFilter filter,
                               std::optional<MessageRef> before, int limit, bool of_messages);

}  // namespace eventhub::store
