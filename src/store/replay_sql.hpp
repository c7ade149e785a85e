#pragma once
#include <string>

#include "eventhub/pg/statement.hpp"

// Statements behind POST /subscribers/{id}/replay.
namespace eventhub::store::sql {

// Columns: the lowest event there may be, the last one, and how far every shard is.
inline const pg::Statement kReplayBounds{
    "replay_bounds",
    "SELECT coalesce((SELECT min(lower) FROM partitions), 0), last_value,"
    " (SELECT min(lwm) FROM shards) FROM event_seq"};

inline const pg::Statement kReplayEvents{
    "replay_events",
    "SELECT event_seq, event_type, organization_id, user_id FROM events"
    " WHERE event_seq > $1 AND event_seq <= $2 AND payload_expunged_at IS NULL"
    " AND ($3::text IS NULL OR organization_id = $3) ORDER BY event_seq"};

// Of the events $1, from $2 to $3, the first ones until their payloads take $4 bytes together.
inline const pg::Statement kReplayBodies{
    "replay_bodies",
    "SELECT event_seq, version, payload FROM (SELECT event_seq, version, payload,"
    "  sum(octet_length(payload)) OVER (ORDER BY event_seq) - octet_length(payload) AS before"
    "  FROM events WHERE event_seq = ANY($1) AND event_seq BETWEEN $2 AND $3) e"
    " WHERE before < $4 ORDER BY event_seq"};

// Counted up to a bound.
inline const pg::Statement kReplayWaiting{
    "replay_waiting",
    "SELECT count(*) FROM (SELECT FROM redeliveries WHERE sid = $1 AND in_order LIMIT $2) r"};

// $1 to $3: the messages, of the subscriber $4, between the events $5 and $6. $7: whether one that
// is over may be sent. $8: count only. $9: seconds between two of them, the first one after what
// waits already. What was made by the fan-out keeps its shard and key.
inline const pg::Statement kReplay{
    "replay",
    "WITH w AS (SELECT u.event_seq, coalesce(m.shard, u.shard) AS shard,"
    "  CASE WHEN m.event_seq IS NULL THEN u.khash ELSE m.khash END AS khash,"
    "  m.event_seq IS NULL AS lacking,"
    "  EXISTS (SELECT FROM parked p WHERE p.event_seq = u.event_seq AND p.sid = $4)"
    "  OR EXISTS (SELECT FROM redeliveries r WHERE r.event_seq = u.event_seq AND r.sid = $4)"
    "   AS open"
    "  FROM unnest($1::int8[], $2::int2[], $3::int8[]) u(event_seq, shard, khash)"
    "  LEFT JOIN messages m ON m.event_seq = u.event_seq AND m.sid = $4"
    "   AND m.event_seq BETWEEN $5 AND $6),"
    " able AS (SELECT w.*, row_number() OVER (ORDER BY event_seq) - 1 AS place FROM w"
    "  WHERE NOT open AND (lacking OR $7)),"
    " began AS (SELECT greatest(now(), max(due_at) + $9::float8 * interval '1 second') AS at"
    "  FROM redeliveries WHERE sid = $4 AND in_order),"
    " made AS (INSERT INTO messages (event_seq, sid, shard, khash)"
    "  SELECT event_seq, $4, shard, khash FROM able WHERE lacking AND NOT $8"
    "  ON CONFLICT DO NOTHING),"
    " sent AS (INSERT INTO redeliveries (event_seq, sid, shard, khash, requested_by, in_order,"
    "   due_at)"
    "  SELECT event_seq, $4, shard, khash, $10, true,"
    "   began.at + place * $9::float8 * interval '1 second' FROM able, began WHERE NOT $8"
    "  ORDER BY event_seq ON CONFLICT DO NOTHING RETURNING 1)"
    " SELECT count(*) FILTER (WHERE lacking), count(*) FILTER (WHERE open),"
    " (SELECT count(*) FROM able), (SELECT count(*) FROM sent) FROM w"};

}  // namespace eventhub::store::sql
