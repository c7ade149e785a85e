#pragma once
#include <span>

#include "eventhub/core/message.hpp"
#include "eventhub/pg/statement.hpp"

namespace eventhub::store {

inline const pg::Statement kSaveCursor{"fanout_save_cursor",
                                       "UPDATE sequencer SET cursor = $1 WHERE cursor < $1"};

inline const pg::Statement kInsertMessages{
    "fanout_insert",
    "INSERT INTO messages (event_seq, sid, shard, khash) "
    "SELECT * FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::int8[])"};

pg::Call insert_messages(std::span<const Message> messages);

}  // namespace eventhub::store
