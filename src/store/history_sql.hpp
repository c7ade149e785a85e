#pragma once
#include <string>

#include "eventhub/pg/statement.hpp"
#include "store/api_time.hpp"

// Statements behind GET /events and GET /messages. What a message's state and reason are is what
// the view message_status says: the view reads all attempts for any question but one event_seq,
// so its joins are repeated here for a window.
namespace eventhub::store::sql {

// $9 and $10 with created_at of `e`; $6 to $8 with its members.
inline const std::string kHistoryOfEvent =
    " AND ($6::text IS NULL OR e.event_type = $6)"
    " AND ($7::text IS NULL OR e.organization_id = $7) AND ($8::text IS NULL OR e.user_id = $8)"
    " AND ($9::timestamptz IS NULL OR e.created_at >= $9)"
    " AND ($10::timestamptz IS NULL OR e.created_at < $10)";

inline const std::string kHistoryEventMembers =
    "e.id, e.event_seq, e.event_type, e.version, e.organization_id, e.user_id, e.traceparent, " +
    api_time("e.created_at") + " AS accepted_at, " + api_time("e.expires_at") + " AS expires_at";

inline const pg::Statement kHistoryEvents{
    "history_events",
    "SELECT e.event_seq, 0::int4, e.id, (SELECT row_to_json(r)::text FROM (SELECT " +
        kHistoryEventMembers +
        ") r) FROM events e WHERE e.event_seq > $1 AND e.event_seq <= $2"
        " AND (e.event_seq, 0) < ($3::int8, $4::int4)" +
        kHistoryOfEvent + " ORDER BY e.event_seq DESC LIMIT $5"};

// Messages `m` of the window ($1, $2] with state and reason, which are columns of the alias `q`.
inline const std::string kHistoryStates =
    " LEFT JOIN (SELECT DISTINCT ON (d.event_seq, d.sid) d.* FROM delivery_attempts d"
    "  WHERE d.event_seq > $1 AND d.event_seq <= $2"
    "  ORDER BY d.event_seq, d.sid, (d.outcome NOT IN (2, 4)) DESC, d.attempt DESC,"
    "   (d.outcome <> 4) DESC) a ON a.event_seq = m.event_seq AND a.sid = m.sid"
    " LEFT JOIN (SELECT event_seq, sid, bool_or(outcome = 1) AS delivered,"
    "   (array_agg(outcome ORDER BY attempted_at DESC, (outcome <> 4) DESC))[1]"
    "    AS outcome, max(attempt) AS attempt"
    "  FROM redelivery_attempts WHERE event_seq > $1 AND event_seq <= $2 GROUP BY 1, 2) x"
    "  ON x.event_seq = m.event_seq AND x.sid = m.sid"
    " LEFT JOIN parked p ON p.event_seq = m.event_seq AND p.sid = m.sid"
    " LEFT JOIN redeliveries r ON r.event_seq = m.event_seq AND r.sid = m.sid"
    " LEFT JOIN subscribers s ON s.sid = m.sid"
    " CROSS JOIN LATERAL (SELECT"
    "  CASE WHEN r.event_seq IS NOT NULL THEN 'pending'"
    "   WHEN a.outcome = 1 OR x.delivered THEN 'delivered'"
    "   WHEN coalesce(a.outcome, x.outcome) = 7 THEN 'cancelled'"
    "   WHEN coalesce(a.outcome, x.outcome) IN (3, 5, 6, 8) THEN 'dead'"
    "   WHEN p.event_seq IS NOT NULL OR a.outcome = 2 THEN 'waiting' ELSE 'pending' END AS state,"
    "  CASE WHEN coalesce(a.outcome, x.outcome) IN (1, 3, 5, 6, 7, 8) AND r.event_seq IS NULL"
    "    THEN NULL"
    "   WHEN NOT s.is_active THEN 'inactive' WHEN s.paused THEN 'paused'"
    "   WHEN p.event_seq IS NOT NULL THEN wait_reason_name(p.reason)"
    "   WHEN a.outcome = 2 THEN 'retry' END AS reason) q";

inline const pg::Statement kHistoryMessages{
    "history_messages",
    "SELECT m.event_seq, m.sid, e.id, (SELECT row_to_json(o)::text FROM (SELECT"
    " e.id AS event_id, m.event_seq, e.event_type, e.organization_id, e.user_id,"
    " s.id AS subscriber_id, s.name AS subscriber, q.state AS status, q.reason,"
    " coalesce(a.attempt, x.attempt, 0) AS attempts,"
    " outcome_name(coalesce(a.outcome, x.outcome)) AS last_outcome,"
    " a.http_status AS last_status, a.error AS last_error, " +
        api_time("a.attempted_at") + " AS last_attempt_at, " +
        api_time("CASE WHEN q.state IN ('pending', 'waiting') THEN coalesce(r.due_at, p.due_at,"
                 " a.next_attempt_at) END") +
        " AS next_attempt_at, " + api_time("e.created_at") +
        " AS accepted_at) o)"
        " FROM messages m JOIN events e ON e.event_seq = m.event_seq" +
        kHistoryStates +
        " WHERE m.event_seq > $1 AND m.event_seq <= $2 AND e.event_seq > $1 AND e.event_seq <= $2"
        " AND (m.event_seq, m.sid) < ($3::int8, $4::int4)" +
        kHistoryOfEvent +
        " AND ($11::uuid IS NULL OR m.sid = (SELECT sid FROM subscribers WHERE id = $11))"
        " AND ($12::text IS NULL OR q.state = $12)"
        " ORDER BY m.event_seq DESC, m.sid DESC LIMIT $5"};

inline std::string history_attempts(const std::string& table, const std::string& again) {
  return "SELECT d.sid, d.attempted_at, (SELECT row_to_json(o)::text FROM (SELECT d.attempt,"
         " outcome_name(d.outcome) AS outcome, d.http_status AS status, d.latency_ms, " +
         api_time("d.attempted_at") + " AS attempted_at, " + api_time("d.next_attempt_at") +
         " AS next_attempt_at, d.error, d.response, " + again +
         " AS redelivery) o) AS o, d.attempt, (d.outcome <> 4) AS ended FROM " + table +
         " d WHERE d.event_seq = $1";
}

inline const pg::Statement kHistoryAttempts{
    "history_attempts", "SELECT sid, o FROM (" + history_attempts("delivery_attempts", "false") +
                            " UNION ALL " + history_attempts("redelivery_attempts", "true") +
                            ") u ORDER BY sid, attempted_at, attempt, ended LIMIT 10000"};

inline const pg::Statement kHistoryPartitions{
    "history_partitions", "SELECT lower, upper FROM partitions ORDER BY number DESC"};

inline const pg::Statement kHistoryEvent{
    "history_event",
    "SELECT e.event_seq, (SELECT row_to_json(o)::text FROM (SELECT " + kHistoryEventMembers + ", " +
        api_time("e.payload_expunged_at") +
        " AS payload_expunged_at"
        ", e.event_seq <= (SELECT greatest(cursor, (SELECT max(event_seq) FROM messages)) FROM"
        " sequencer) AS fanned_out, 'accepted' AS state, NULL::text AS deliver_after) o), e.payload"
        " FROM events e WHERE e.id = $1 AND e.event_seq >= $2 AND e.event_seq < $3 LIMIT 1"};

// An event that is to go out later.
inline const pg::Statement kHistoryFiled{
    "history_filed",
    "SELECT (SELECT row_to_json(r)::text FROM (SELECT o.event_id AS id, NULL::int8 AS event_seq,"
    " o.event_type, o.version, o.organization_id, o.user_id, o.traceparent, " +
        api_time("o.created_at") + " AS accepted_at, " + api_time("o.expires_at") +
        " AS expires_at, " + api_time("o.payload_expunged_at") +
        " AS payload_expunged_at, false AS fanned_out, 'scheduled' AS state, " +
        api_time("o.due_at") +
        " AS deliver_after) r), o.payload FROM outbox o WHERE o.event_id = $1 AND o.id < 0"};

inline const pg::Statement kCancelFiled{
    "cancel_filed", "DELETE FROM outbox WHERE event_id = $1 AND id < 0 RETURNING id"};

inline const pg::Statement kExpunge{"expunge_payload", "SELECT expunge_payload($1)"};

inline const pg::Statement kHistoryEventId{"history_event_id",
                                           "SELECT id FROM events WHERE event_seq = $1"};

// Columns: state, the subscriber's guarantee, whether it is sent again, whether it already was
// being sent again.
inline const pg::Statement kSendAgain{
    "history_send_again",
    "WITH m AS (SELECT m.event_seq, m.sid, m.shard, m.khash, st.state,"
    "  s.delivery_guarantee AS guarantee, EXISTS (SELECT FROM redeliveries r"
    "   WHERE r.event_seq = m.event_seq AND r.sid = m.sid) AS under_way"
    "  FROM messages m JOIN message_status st ON st.event_seq = m.event_seq AND st.sid = m.sid"
    "  LEFT JOIN subscribers s ON s.sid = m.sid"
    "  WHERE m.event_seq = $1 AND m.sid = $2 AND st.event_seq = $1),"
    " sent AS (INSERT INTO redeliveries (event_seq, sid, shard, khash, requested_by)"
    "  SELECT event_seq, sid, shard, khash, 'api' FROM m WHERE state IN ('delivered', 'dead')"
    "   AND (guarantee = 'at_least_once' OR guarantee IS NOT NULL AND $3::bool)"
    "  ON CONFLICT DO NOTHING RETURNING 1)"
    " SELECT state, guarantee, EXISTS (SELECT FROM sent), under_way FROM m"};

}  // namespace eventhub::store::sql
