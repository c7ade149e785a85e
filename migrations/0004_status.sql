-- message_status for questions over many messages. The look-up of the last attempt was one BRIN
-- scan per message, which with many retries read most of the table each time; now all attempts are
-- read and sorted once. With one event_seq the condition reaches the attempts, so that stays one
-- look-up.

CREATE OR REPLACE VIEW message_status AS
SELECT m.event_seq, m.sid, m.shard, m.khash,
       CASE WHEN r.event_seq IS NOT NULL THEN 'pending'
            WHEN a.outcome = 1 OR x.event_seq IS NOT NULL THEN 'delivered'
            WHEN a.outcome = 7 THEN 'cancelled'
            WHEN a.outcome IN (3, 5, 6, 8) THEN 'dead'
            WHEN p.event_seq IS NOT NULL OR a.outcome = 2 THEN 'waiting'
            ELSE 'pending' END AS state,
       CASE WHEN a.outcome IN (1, 3, 5, 6, 7, 8) AND r.event_seq IS NULL THEN NULL
            WHEN NOT s.is_active THEN 'inactive'
            WHEN s.paused THEN 'paused'
            WHEN p.event_seq IS NOT NULL THEN wait_reason_name(p.reason)
            WHEN a.outcome = 2 THEN 'retry' END AS reason,
       outcome_name(a.outcome) AS last_outcome,
       coalesce(a.attempt, 0) AS attempts,
       a.http_status AS last_status, a.error AS last_error, a.attempted_at AS last_attempt_at,
       coalesce(p.due_at, a.next_attempt_at) AS next_attempt_at
FROM messages m
LEFT JOIN (
  SELECT DISTINCT ON (d.event_seq, d.sid) d.*
  FROM delivery_attempts d
  ORDER BY d.event_seq, d.sid, (d.outcome NOT IN (2, 4)) DESC, d.attempt DESC, (d.outcome <> 4) DESC
) a ON a.event_seq = m.event_seq AND a.sid = m.sid
LEFT JOIN (SELECT DISTINCT event_seq, sid FROM redelivery_attempts WHERE outcome = 1) x
  ON x.event_seq = m.event_seq AND x.sid = m.sid
LEFT JOIN parked p ON p.event_seq = m.event_seq AND p.sid = m.sid
LEFT JOIN redeliveries r ON r.event_seq = m.event_seq AND r.sid = m.sid
LEFT JOIN subscribers s ON s.sid = m.sid;
COMMENT ON VIEW message_status IS
  'State of every message: pending, waiting (with a reason), delivered, dead, cancelled. '
  'One event_seq is looked up; any other question reads all attempts once.';
