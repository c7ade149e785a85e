#pragma once
#include <string>

#include "eventhub/pg/statement.hpp"
#include "store/api_time.hpp"

// Statements behind /dlq.
namespace eventhub::store::sql {

// `d` and `s` as the filter $1 to $9 wants them.
inline const std::string kDeadFilter =
    " ($1::uuid IS NULL OR d.sid = (SELECT sid FROM subscribers WHERE id = $1))"
    " AND ($2::text IS NULL OR d.reason = $2)"
    " AND ($3::text IS NULL OR outcome_name(d.outcome) = $3)"
    " AND ($4::text IS NULL OR d.event_type = $4)"
    " AND ($5::text IS NULL OR d.organization_id = $5)"
    " AND ($6::text IS NULL OR d.user_id = $6) AND ($7::int4 IS NULL OR d.last_status = $7)"
    " AND ($8::timestamptz IS NULL OR d.failed_at >= $8)"
    " AND ($9::timestamptz IS NULL OR d.failed_at < $9)";

// One row stands for messages that expired without a letter of their own: it has no id.
inline const std::string kDeadShown =
    "(SELECT row_to_json(o)::text FROM (SELECT"
    " CASE WHEN d.summarised = 0 THEN d.message_id END AS id, d.event_id, d.event_type, d.version,"
    " d.organization_id, d.user_id, coalesce(s.id::text, d.subscriber_snapshot ->> 'id')"
    "  AS subscriber_id, coalesce(s.name, d.subscriber_snapshot ->> 'name') AS subscriber,"
    " outcome_name(d.outcome) AS outcome, d.reason, d.last_status, d.last_error, d.attempts, " +
    api_time("d.accepted_at") + " AS accepted_at, " + api_time("d.failed_at") +
    " AS failed_at, d.summarised,"
    " EXISTS (SELECT FROM redeliveries r WHERE r.event_seq = d.event_seq AND r.sid = d.sid)"
    "  AS retrying) o)";

// Rows after the cursor $10 to $12.
inline const std::string kDeadAfter =
    " AND ($10::timestamptz IS NULL OR d.failed_at <= $10 AND (d.failed_at, d.event_seq, d.sid)"
    " < ($10, $11::int8, $12::int4)) ORDER BY d.failed_at DESC, d.event_seq DESC, d.sid DESC";

inline const std::string kDeadFrom =
    " FROM dead_letter_queue d LEFT JOIN subscribers s ON s.sid = d.sid WHERE ";

inline const pg::Statement kDeadList{"dead_list", "SELECT d.failed_at, d.event_seq, d.sid, " +
                                                      kDeadShown + kDeadFrom + kDeadFilter +
                                                      kDeadAfter + " LIMIT $13"};

// $14: bytes of payload; the row that reaches them is the last. `more` tells whether another
// follows.
inline const pg::Statement kDeadPayloads{
    "dead_payloads",
    "WITH picked AS (SELECT d.failed_at, d.event_seq, d.sid,"
    "  coalesce(octet_length(d.payload), 0)::int8 AS bytes FROM dead_letter_queue d WHERE " +
        kDeadFilter + kDeadAfter +
        " LIMIT $13), counted AS (SELECT *, sum(bytes) OVER w - bytes AS before,"
        "  lead(event_seq) OVER w IS NOT NULL AS more"
        "  FROM picked WINDOW w AS (ORDER BY failed_at DESC, event_seq DESC, sid DESC))"
        " SELECT d.failed_at, d.event_seq, d.sid, " +
        kDeadShown +
        ", d.payload, c.more FROM counted c JOIN dead_letter_queue d USING (event_seq, sid)"
        " LEFT JOIN subscribers s ON s.sid = d.sid WHERE c.before < $14"
        " ORDER BY d.failed_at DESC, d.event_seq DESC, d.sid DESC"};

inline const std::string kDeadKey = "d.event_seq = $1 AND d.sid = $2 AND d.message_id = $3";

inline const pg::Statement kDeadGet{
    "dead_get",
    "SELECT d.failed_at, d.event_seq, d.sid, (SELECT left(t, -1) || ',\"subscriber_snapshot"
    "\":' || coalesce(d.subscriber_snapshot::text, 'null') || '}' FROM (SELECT " +
        kDeadShown + " AS t) u), d.payload" + kDeadFrom + kDeadKey};

inline const std::string kDeadHasPayload =
    "(d.payload IS NOT NULL OR EXISTS (SELECT FROM events e WHERE e.event_seq = d.event_seq"
    " AND e.payload_expunged_at IS NULL))";

// Columns: the subscriber's guarantee, whether there is a payload, whether it is sent again.
inline const pg::Statement kDeadRetry{
    "dead_retry",
    "WITH l AS (SELECT d.event_seq, d.sid, d.shard, d.khash, s.delivery_guarantee AS guarantee, " +
        kDeadHasPayload + " AS payload" + kDeadFrom + kDeadKey +
        "), sent AS (INSERT INTO redeliveries (event_seq, sid, shard, khash, requested_by)"
        "  SELECT event_seq, sid, shard, khash, 'api' FROM l WHERE payload"
        "   AND (guarantee = 'at_least_once' OR guarantee IS NOT NULL AND $4::bool)"
        "  ON CONFLICT DO NOTHING RETURNING 1)"
        " SELECT guarantee, payload, EXISTS (SELECT FROM sent) FROM l"};

// $10: whether at most once may be sent again. Those that can be sent again are `able`.
inline const std::string kDeadMatched =
    "WITH l AS (SELECT d.event_seq, d.sid, d.shard, d.khash, d.summarised = 0 AND " +
    kDeadHasPayload +
    " AND (s.delivery_guarantee = 'at_least_once' OR s.sid IS NOT NULL AND $10::bool)"
    " AND NOT EXISTS (SELECT FROM redeliveries r WHERE r.event_seq = d.event_seq"
    "  AND r.sid = d.sid) AS able" +
    kDeadFrom + kDeadFilter + ")";

inline const pg::Statement kDeadCount{
    "dead_count", kDeadMatched + " SELECT count(*), count(*) FILTER (WHERE able), 0::int8 FROM l"};

// $11 rows at most, each due $12 seconds after the one before.
inline const pg::Statement kDeadRetryAll{
    "dead_retry_all",
    kDeadMatched +
        ", sent AS (INSERT INTO redeliveries (event_seq, sid, shard, khash, requested_by, due_at)"
        "  SELECT event_seq, sid, shard, khash, 'api',"
        "   now() + (row_number() OVER (ORDER BY event_seq, sid) - 1) * $12::float8"
        "    * interval '1 second'"
        "  FROM l WHERE able ORDER BY event_seq, sid LIMIT $11 ON CONFLICT DO NOTHING RETURNING 1)"
        " SELECT count(*), count(*) FILTER (WHERE able), (SELECT count(*) FROM sent) FROM l"};

inline const pg::Statement kDeadDiscard{
    "dead_discard",
    "WITH l AS (SELECT d.event_seq, d.sid, d.shard, d.khash FROM dead_letter_queue d WHERE " +
        kDeadKey +
        "), given_up AS (INSERT INTO discards (event_seq, sid, shard, khash)"
        "  SELECT event_seq, sid, shard, khash FROM l ON CONFLICT DO NOTHING)"
        " SELECT event_seq FROM l"};

}  // namespace eventhub::store::sql
