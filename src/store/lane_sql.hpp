#pragma once
#include <string>

#include "eventhub/pg/statement.hpp"

// Every statement of the ordered writer; the name is the prepared statement and the metric label.
namespace eventhub::store::sql {

inline const pg::Statement kPark{
    "park",
    "INSERT INTO parked (event_seq, sid, shard, khash, attempt, started, due_at, reason)"
    " SELECT * FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::int8[], $5::int2[], $6::bool[],"
    " $7::timestamptz[], $8::int2[]) ON CONFLICT DO NOTHING"};

// Attempts of messages, and of redeliveries, whose table has no shard.
inline std::string insert_attempts(const std::string& table, const std::string& shard_column,
                                   const std::string& shard) {
  return "INSERT INTO " + table + " (event_seq, sid, " + shard_column +
         "attempt, outcome, http_status, latency_ms, attempted_at, next_attempt_at, error,"
         " response) SELECT s, i, " +
         shard +
         "a, o, h, l, t, n, e, r FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::int2[],"
         " $5::int2[], $6::int2[], $7::int4[], $8::timestamptz[], $9::timestamptz[], $10::text[],"
         " $11::text[]) u(s, i, d, a, o, h, l, t, n, e, r)";
}

inline const pg::Statement kAttempts{"attempts",
                                     insert_attempts("delivery_attempts", "shard, ", "d, ")};
inline const pg::Statement kRedeliveryAttempts{"redelivery_attempts",
                                               insert_attempts("redelivery_attempts", "", "")};

inline const pg::Statement kUpdateParked{
    "update_parked",
    "UPDATE parked p SET attempt = u.a, started = u.st, due_at = coalesce(u.d, p.due_at),"
    " reason = CASE WHEN u.st THEN p.reason ELSE 2 END"
    " FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::bool[], $5::timestamptz[]) u(s, i, a, "
    "st, d)"
    " WHERE p.event_seq = u.s AND p.sid = u.i"};

inline std::string delete_by_ref(const std::string& table) {
  return "DELETE FROM " + table +
         " t USING unnest($1::int8[], $2::int4[]) u(s, i) WHERE t.event_seq = u.s AND t.sid = u.i";
}

inline const pg::Statement kDeleteParked{"delete_parked", delete_by_ref("parked")};
inline const pg::Statement kEndRedelivery{"end_redelivery", delete_by_ref("redeliveries")};
inline const pg::Statement kDeleteDead{"delete_dead_letter", delete_by_ref("dead_letter_queue")};

inline const pg::Statement kUpdateRedelivery{
    "update_redelivery",
    "UPDATE redeliveries r SET attempt = u.a, started = u.st, due_at = coalesce(u.d, r.due_at)"
    " FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::bool[], $5::timestamptz[]) u(s, i, a, "
    "st, d)"
    " WHERE r.event_seq = u.s AND r.sid = u.i"};

inline const pg::Statement kEventIds{
    "event_ids",
    "SELECT event_seq, id FROM events WHERE event_seq = ANY($1) AND event_seq BETWEEN $2 AND $3"};

inline const pg::Statement kDead{
    "dead_letters",
    "INSERT INTO dead_letter_queue AS q (event_seq, sid, shard, khash, message_id, outcome, reason,"
    " last_status, last_error, attempts, event_id, event_type, version, organization_id, user_id,"
    " payload, accepted_at, subscriber_snapshot)"
    " SELECT u.*, e.id, e.event_type, e.version, e.organization_id, e.user_id,"
    "  CASE WHEN e.payload_expunged_at IS NULL THEN e.payload END,"
    "  e.created_at, (SELECT to_jsonb(r) - 'secret' - 'previous_secret' - 'headers'"
    "   FROM subscribers r WHERE r.sid = u.i)"
    " FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::int8[], $5::uuid[], $6::int2[],"
    "  $7::text[], $8::int2[], $9::text[], $10::int2[]) u(seq, i)"
    " LEFT JOIN events e ON e.event_seq = u.seq AND e.event_seq BETWEEN $11 AND $12"
    " ON CONFLICT (event_seq, sid) DO UPDATE SET outcome = excluded.outcome,"
    " reason = excluded.reason, last_status = excluded.last_status,"
    " last_error = excluded.last_error, attempts = q.attempts + excluded.attempts,"
    " failed_at = now()"};

inline const pg::Statement kSummary{
    "dead_letter_summary",
    "INSERT INTO dead_letter_queue AS q (event_seq, sid, shard, message_id, outcome, reason, "
    "attempts,"
    " summarised) SELECT 0, u.sid, 0, '00000000-0000-0000-0000-000000000000', 6, 'retention', 0, "
    "u.n"
    " FROM unnest($1::int4[], $2::int8[]) u(sid, n) ON CONFLICT (event_seq, sid)"
    " DO UPDATE SET summarised = q.summarised + excluded.summarised, failed_at = now()"};

inline const pg::Statement kLowWater{
    "low_water",
    "UPDATE shards SET lwm = u.l FROM unnest($1::int2[], $2::int8[]) u(s, l)"
    " WHERE shard = u.s AND lwm < u.l"};

inline std::string load_parked(const std::string& rest) {
  return "SELECT event_seq, attempt, started, due_at FROM parked"
         " WHERE shard = $1 AND sid = $2 AND khash " +
         rest;
}

inline const pg::Statement kLoadKeyed{"load_parked_key",
                                      load_parked("= $3 ORDER BY event_seq LIMIT $4")};
inline const pg::Statement kLoadUnordered{
    "load_parked_unordered", load_parked("IS NULL ORDER BY due_at, event_seq LIMIT $3")};

// A loose index scan: one probe per key, however many rows a key has.
inline std::string load_keys(const std::string& from, const std::string& limit) {
  return "WITH RECURSIVE k AS ("
         " (SELECT khash, 1 AS n FROM parked WHERE shard = $1 AND sid = $2 AND khash " +
         from +
         "  ORDER BY khash LIMIT 1)"
         " UNION ALL SELECT (SELECT p.khash FROM parked p WHERE p.shard = $1 AND p.sid = $2"
         "  AND p.khash > k.khash ORDER BY p.khash LIMIT 1), k.n + 1"
         " FROM k WHERE k.khash IS NOT NULL AND k.n < " +
         limit + ") SELECT khash FROM k WHERE khash IS NOT NULL";
}

inline const pg::Statement kLoadKeys{"load_parked_keys", load_keys("> $3", "$4")};
inline const pg::Statement kLoadFirstKeys{"load_first_parked_keys", load_keys("IS NOT NULL", "$3")};

// One that is asked for at a later time (a retry of many at a rate) is left where it is until then:
// in memory it would hold its key up.
inline const pg::Statement kLoadRedeliveries{
    "load_redeliveries",
    "SELECT event_seq, sid, shard, khash, attempt, started, due_at,"
    " CASE WHEN in_order AND khash IS NOT NULL THEN (SELECT b.event_seq FROM redeliveries b"
    "  WHERE b.sid = r.sid AND b.khash = r.khash AND b.in_order AND b.event_seq < r.event_seq"
    "  ORDER BY b.event_seq DESC LIMIT 1) END"
    " FROM redeliveries r WHERE (event_seq, sid) > ($1, $2) AND shard = ANY($3)"
    "  AND (attempt > 0 OR started OR due_at <= now()) ORDER BY event_seq, sid LIMIT $4"};

// A discard waits for a redelivery that is under way.
inline const pg::Statement kLoadDiscards{
    "load_discards",
    "WITH taken AS (DELETE FROM discards d WHERE d.shard = ANY($1) AND NOT EXISTS (SELECT 1 FROM"
    "  redeliveries r WHERE r.event_seq = d.event_seq AND r.sid = d.sid) RETURNING *),"
    " gone AS (DELETE FROM dead_letter_queue q USING taken t"
    "  WHERE q.event_seq = t.event_seq AND q.sid = t.sid)"
    " SELECT event_seq, sid, shard, khash, 0::int2, false, requested_at FROM taken"};

inline const pg::Statement kLoadExpired{
    "load_expired",
    "SELECT event_seq, sid, shard, khash, attempt, started, due_at FROM parked"
    " WHERE event_seq < $1 AND shard = ANY($2) ORDER BY event_seq, sid LIMIT $3"};

}  // namespace eventhub::store::sql
