-- What people read and press: names of the numbers, the state of a message, retry and discard of dead letters.

CREATE FUNCTION outcome_name(outcome smallint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT (ARRAY['delivered', 'retry', 'dead', 'started', 'unknown', 'expired', 'cancelled', 'refused'])[outcome] $$;

CREATE FUNCTION wait_reason_name(reason smallint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT (ARRAY['order', 'retry', 'paused', 'inactive', 'circuit', 'rate', 'in_flight_cap', 'takeover',
                 'memory', 'scheduled'])[reason] $$;


CREATE VIEW message_status AS
SELECT m.event_seq, m.sid, m.shard, m.khash,
       CASE WHEN r.event_seq IS NOT NULL THEN 'pending'
            WHEN a.outcome = 1 OR EXISTS (SELECT FROM redelivery_attempts x WHERE x.event_seq = m.event_seq
                                          AND x.sid = m.sid AND x.outcome = 1) THEN 'delivered'
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
LEFT JOIN LATERAL (
  SELECT d.* FROM delivery_attempts d
  WHERE d.event_seq = m.event_seq AND d.sid = m.sid
  ORDER BY (d.outcome NOT IN (2, 4)) DESC, d.attempt DESC, (d.outcome <> 4) DESC LIMIT 1) a ON true
LEFT JOIN parked p ON p.event_seq = m.event_seq AND p.sid = m.sid
LEFT JOIN redeliveries r ON r.event_seq = m.event_seq AND r.sid = m.sid
LEFT JOIN subscribers s ON s.sid = m.sid;
COMMENT ON VIEW message_status IS
  'State of every message: pending, waiting (with a reason), delivered, dead, cancelled. Give it an event_seq (or a range).';

CREATE VIEW dead_letters AS
SELECT d.message_id, d.event_id, s.name AS subscriber, d.event_type, outcome_name(d.outcome) AS outcome, d.reason,
       d.last_status, d.last_error, d.attempts, d.failed_at,
       EXISTS (SELECT 1 FROM redeliveries r WHERE r.event_seq = d.event_seq AND r.sid = d.sid) AS retrying,
       d.event_seq, d.sid
FROM dead_letter_queue d LEFT JOIN subscribers s USING (sid);

-- Sends a dead letter again, as the same message, before the others of its key. A second press while the first
-- is under way is refused (unique_violation). At most once: refused unless `force`.
CREATE FUNCTION retry_dead_letter(message uuid, force boolean DEFAULT false) RETURNS void
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
DECLARE d dead_letter_queue; guarantee text;
BEGIN
  SELECT * INTO d FROM dead_letter_queue WHERE message_id = message;
  IF NOT FOUND THEN RAISE no_data_found USING MESSAGE = format('no dead letter %s', message); END IF;
  SELECT delivery_guarantee INTO guarantee FROM subscribers WHERE sid = d.sid;
  IF guarantee IS NULL THEN
    RAISE foreign_key_violation USING MESSAGE = 'the subscriber of this dead letter was deleted';
  END IF;
  IF guarantee = 'at_most_once' AND NOT force THEN
    RAISE object_not_in_prerequisite_state
      USING MESSAGE = 'the subscriber wants every message at most once', HINT = 'retry_dead_letter(id, force => true)';
  END IF;
  IF d.payload IS NULL AND NOT EXISTS (SELECT 1 FROM events WHERE event_seq = d.event_seq) THEN
    RAISE no_data_found USING MESSAGE = 'the payload is past its retention';
  END IF;
  INSERT INTO redeliveries (event_seq, sid, shard, khash, requested_by)
    VALUES (d.event_seq, d.sid, d.shard, d.khash, current_user);
  PERFORM pg_notify('eventhub_control', '');
END $$;

-- Gives a dead letter up. Where on_dead = block it frees its key (done by the owner, within a second).
CREATE FUNCTION discard_dead_letter(message uuid) RETURNS void
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
BEGIN
  INSERT INTO discards (event_seq, sid, shard, khash)
    SELECT event_seq, sid, shard, khash FROM dead_letter_queue WHERE message_id = message
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RAISE no_data_found USING MESSAGE = format('no dead letter %s', message); END IF;
  PERFORM pg_notify('eventhub_control', '');
END $$;
