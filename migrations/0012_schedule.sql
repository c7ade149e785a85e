-- deliver_after, expires_at, payloads that are taken away.

-- ── deliver_after ──────────────────────────────────────────────────────────────────────────────
-- An event that is to go out later is a row of `outbox` with a negative id, due at due_at. The look
-- for what was published by SQL (ids above 0, by the primary key) does not pass such rows, and an
-- index of their own finds those that are due. A row of publish() with due_at is filed like this by
-- the mover, which looks at its idempotency key then.

ALTER TABLE outbox
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN posted boolean NOT NULL DEFAULT false,  -- by the API: counted, and its key remembered
  ADD COLUMN payload_expunged_at timestamptz;
CREATE SEQUENCE outbox_filed_id MINVALUE -9223372036854775808 MAXVALUE -1
  START -9223372036854775808 CACHE 1;
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE id < 0;
CREATE INDEX outbox_filed_event ON outbox (event_id) WHERE id < 0;
COMMENT ON TABLE outbox IS
  'id > 0: published by SQL, not moved yet. id < 0: accepted, to be moved to events at due_at.';

INSERT INTO settings VALUES ('deliver_after_max_seconds', '31536000');

DROP FUNCTION publish(text, json, text, text, text, text, text, text);
DROP FUNCTION publish(text, jsonb, text, text, text, text, text, text);
DROP FUNCTION publish(text, text, text, text, text, text, text, text);

CREATE FUNCTION publish(event_type text, payload text, organization_id text DEFAULT NULL,
                        user_id text DEFAULT NULL, version text DEFAULT 'v1',
                        idempotency_key text DEFAULT NULL, producer text DEFAULT '',
                        traceparent text DEFAULT NULL, deliver_after timestamptz DEFAULT NULL,
                        expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
DECLARE
  made uuid := uuid_v7();
  whole text := btrim(payload, E' \t\n\r');
  revision text := coalesce(version, 'v1');
  hashed uuid; finger uuid;
BEGIN
  IF octet_length(whole) > setting_bigint('publish_payload_bytes_max') THEN
    RAISE program_limit_exceeded
      USING MESSAGE = 'the payload is larger than settings.publish_payload_bytes_max';
  END IF;
  IF deliver_after > now() + setting_bigint('deliver_after_max_seconds') * interval '1 second' THEN
    RAISE check_violation
      USING MESSAGE = 'deliver_after is further ahead than settings.deliver_after_max_seconds';
  END IF;
  IF expires_at <= now() OR expires_at <= deliver_after THEN
    RAISE check_violation
      USING MESSAGE = 'expires_at must be later than now and than deliver_after';
  END IF;
  IF idempotency_key IS NOT NULL THEN
    IF idempotency_key !~ '^[ -~]{1,255}$' THEN
      RAISE check_violation
        USING MESSAGE = 'the idempotency key must be 1 to 255 printable ASCII characters';
    END IF;
    hashed := digest128(coalesce(producer, ''), idempotency_key);
    finger := digest128(event_type, revision, coalesce(organization_id, ''),
                        coalesce(user_id, ''), whole);
  END IF;
  INSERT INTO outbox (event_id, event_type, version, organization_id, user_id, payload, k,
                      fingerprint, traceparent, due_at, expires_at)
    VALUES (made, event_type, revision, organization_id, user_id, whole, hashed, finger,
            CASE WHEN traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
                 THEN traceparent END,
            CASE WHEN deliver_after > now() THEN deliver_after END,
            CASE WHEN isfinite(expires_at) THEN expires_at END);
  RETURN made;
END $$;
COMMENT ON FUNCTION publish(text, text, text, text, text, text, text, text, timestamptz,
                            timestamptz) IS
  'Publishes an event with the transaction that calls it. Returns the id it will have.';

CREATE FUNCTION publish(event_type text, payload json, organization_id text DEFAULT NULL,
                        user_id text DEFAULT NULL, version text DEFAULT 'v1',
                        idempotency_key text DEFAULT NULL, producer text DEFAULT '',
                        traceparent text DEFAULT NULL, deliver_after timestamptz DEFAULT NULL,
                        expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE sql SET search_path FROM CURRENT
  AS $$ SELECT publish(event_type, payload::text, organization_id, user_id, version,
                       idempotency_key, producer, traceparent, deliver_after, expires_at) $$;

CREATE FUNCTION publish(event_type text, payload jsonb, organization_id text DEFAULT NULL,
                        user_id text DEFAULT NULL, version text DEFAULT 'v1',
                        idempotency_key text DEFAULT NULL, producer text DEFAULT '',
                        traceparent text DEFAULT NULL, deliver_after timestamptz DEFAULT NULL,
                        expires_at timestamptz DEFAULT NULL) RETURNS uuid
  LANGUAGE sql SET search_path FROM CURRENT
  AS $$ SELECT publish(event_type, payload::text, organization_id, user_id, version,
                       idempotency_key, producer, traceparent, deliver_after, expires_at) $$;

-- Moves rows of `outbox`: first what is due of the filed ones, up to half of rows_max and
-- bytes_max, then what was published by SQL. Neither keeps the other waiting. Called by one session
-- of the hub alone. The rows are locked before the ordering lock is taken (a row that somebody else
-- holds is left for later), so that nobody waits for anything while it is held. enable_seqscan: a
-- plan made for an empty table may meet a million rows.
CREATE OR REPLACE FUNCTION move_outbox(rows_max integer, bytes_max bigint, lock_space integer,
                                       lock_ordering integer, OUT taken integer,
                                       OUT refused integer, OUT last_seq bigint, OUT types text[])
  LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off
  AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  due bigint[]; due_bytes bigint;
  published bigint[];
BEGIN
  SELECT coalesce(array_agg(o.id), '{}'), coalesce(sum(o.bytes), 0) INTO due, due_bytes
  FROM (SELECT locked.id, locked.bytes, sum(locked.bytes) OVER (ORDER BY locked.due_at, locked.id)
               - locked.bytes AS before
        FROM (SELECT x.id, x.due_at, octet_length(x.payload) AS bytes FROM outbox x
              WHERE x.id < 0 AND x.due_at <= moment
              ORDER BY x.due_at, x.id LIMIT greatest(rows_max / 2, 1)
              FOR UPDATE SKIP LOCKED) locked) o
  WHERE o.before < bytes_max / 2;
  SELECT coalesce(array_agg(o.id), '{}') INTO published
  FROM (SELECT locked.id, sum(locked.bytes) OVER (ORDER BY locked.id) - locked.bytes AS before
        FROM (SELECT x.id, octet_length(x.payload) AS bytes FROM outbox x WHERE x.id > 0
              ORDER BY x.id LIMIT greatest(rows_max - cardinality(due), 1)
              FOR UPDATE SKIP LOCKED) locked) o
  WHERE o.before < greatest(bytes_max - due_bytes, 1);
  taken := cardinality(due) + cardinality(published);
  refused := 0;
  IF taken = 0 THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(lock_space, lock_ordering);
  -- A statement of its own, so that its snapshot is younger than the lock: who finds no key has
  -- won.
  WITH gone AS MATERIALIZED (
    DELETE FROM outbox o WHERE o.id = ANY (due || published) RETURNING o.*
  ), known AS MATERIALIZED (
    SELECT DISTINCT ON (i.k) i.k, i.fingerprint FROM idempotency_keys i
    WHERE i.k = ANY (ARRAY(SELECT g.k FROM gone g WHERE g.k IS NOT NULL))
    ORDER BY i.k, i.created_at
  ), judged AS MATERIALIZED (
    SELECT g.*, known.k IS NULL AND (g.k IS NULL OR row_number() OVER same_key = 1) AS fresh,
           g.fingerprint = coalesce(known.fingerprint, first_value(g.fingerprint) OVER same_key)
             AS known_event,
           coalesce(g.due_at > moment, false) AS early
    FROM gone g LEFT JOIN known ON known.k = g.k
    WINDOW same_key AS (PARTITION BY g.k ORDER BY g.id)
  ), remembered AS (
    INSERT INTO idempotency_keys (k, fingerprint, event_id)
    SELECT j.k, j.fingerprint, j.event_id FROM judged j WHERE j.fresh AND j.k IS NOT NULL
  ), set_aside AS (
    INSERT INTO outbox_refused (event_id, event_type, version, organization_id, user_id, payload,
                                published_at)
    SELECT j.event_id, j.event_type, j.version, j.organization_id, j.user_id, j.payload,
           j.created_at
    FROM judged j WHERE NOT j.fresh AND NOT j.known_event
    RETURNING 1
  ), filed AS (
    INSERT INTO outbox (id, event_id, event_type, version, organization_id, user_id, traceparent,
                        payload, due_at, expires_at, payload_expunged_at, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT nextval('outbox_filed_id'), s.* FROM (
      SELECT j.event_id, j.event_type, j.version, j.organization_id, j.user_id, j.traceparent,
             j.payload, j.due_at, j.expires_at, j.payload_expunged_at, j.created_at
      FROM judged j WHERE j.fresh AND j.early ORDER BY j.id) s
  ), written AS (
    INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, expires_at,
                        payload_expunged_at, payload)
    SELECT j.event_id, j.event_type, j.version, j.organization_id, j.user_id, j.traceparent,
           j.expires_at, j.payload_expunged_at, j.payload
    FROM judged j WHERE j.fresh AND NOT j.early
    ORDER BY j.id > 0, CASE WHEN j.id < 0 THEN j.due_at END, j.id
    RETURNING event_seq
  )
  SELECT (SELECT count(*) FROM set_aside),
         (SELECT coalesce(array_agg(j.event_type), '{}') FROM judged j
          WHERE j.fresh AND NOT j.early AND NOT j.posted), max(w.event_seq)
  INTO refused, types, last_seq FROM written w;
END $$;

-- ── replay ─────────────────────────────────────────────────────────────────────────────────────
-- Rows of `redeliveries` that a replay made: of one key they are taken in the order of event_seq. A
-- message that a replay made has no row of delivery_attempts; what became of it is in
-- redelivery_attempts.

ALTER TABLE redeliveries ADD COLUMN in_order boolean NOT NULL DEFAULT false;
CREATE INDEX redeliveries_in_order ON redeliveries (sid, khash, event_seq) WHERE in_order;
CREATE INDEX redeliveries_in_order_due ON redeliveries (sid, due_at) WHERE in_order;

CREATE OR REPLACE VIEW message_status AS
SELECT m.event_seq, m.sid, m.shard, m.khash,
       CASE WHEN r.event_seq IS NOT NULL THEN 'pending'
            WHEN a.outcome = 1 OR x.delivered THEN 'delivered'
            WHEN coalesce(a.outcome, x.outcome) = 7 THEN 'cancelled'
            WHEN coalesce(a.outcome, x.outcome) IN (3, 5, 6, 8) THEN 'dead'
            WHEN p.event_seq IS NOT NULL OR a.outcome = 2 THEN 'waiting'
            ELSE 'pending' END AS state,
       CASE WHEN coalesce(a.outcome, x.outcome) IN (1, 3, 5, 6, 7, 8) AND r.event_seq IS NULL
              THEN NULL
            WHEN NOT s.is_active THEN 'inactive'
            WHEN s.paused THEN 'paused'
            WHEN p.event_seq IS NOT NULL THEN wait_reason_name(p.reason)
            WHEN a.outcome = 2 THEN 'retry' END AS reason,
       outcome_name(coalesce(a.outcome, x.outcome)) AS last_outcome,
       coalesce(a.attempt, x.attempt, 0) AS attempts,
       a.http_status AS last_status, a.error AS last_error, a.attempted_at AS last_attempt_at,
       coalesce(p.due_at, a.next_attempt_at) AS next_attempt_at
FROM messages m
LEFT JOIN (
  SELECT DISTINCT ON (d.event_seq, d.sid) d.*
  FROM delivery_attempts d
  ORDER BY d.event_seq, d.sid, (d.outcome NOT IN (2, 4)) DESC, d.attempt DESC, (d.outcome <> 4) DESC
) a ON a.event_seq = m.event_seq AND a.sid = m.sid
LEFT JOIN (
  SELECT event_seq, sid, bool_or(outcome = 1) AS delivered, max(attempt) AS attempt,
         (array_agg(outcome ORDER BY attempted_at DESC, (outcome <> 4) DESC))[1] AS outcome
  FROM redelivery_attempts GROUP BY event_seq, sid
) x ON x.event_seq = m.event_seq AND x.sid = m.sid
LEFT JOIN parked p ON p.event_seq = m.event_seq AND p.sid = m.sid
LEFT JOIN redeliveries r ON r.event_seq = m.event_seq AND r.sid = m.sid
LEFT JOIN subscribers s ON s.sid = m.sid;

-- ── payloads that are taken away ───────────────────────────────────────────────────────────────

ALTER TABLE events ADD COLUMN payload_expunged_at timestamptz;
ALTER TABLE subscribers_version ADD COLUMN expunged bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN subscribers_version.expunged IS
  'Rises with every payload that is taken away: dispatchers then forget the payloads they hold.';

-- As in 0010, but for letters that only lose their payload: nothing new died.
CREATE OR REPLACE FUNCTION tell_of_dead_letters() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
BEGIN
  IF coalesce(current_setting('eventhub.expunging', true), '') = 'on' THEN RETURN NULL; END IF;
  IF operator_event_wanted('eventhub.message.dead') THEN
    PERFORM publish_notice('eventhub.message.dead', jsonb_build_object('message_id', d.message_id,
      'event_id', d.event_id, 'event_type', d.event_type, 'organization_id', d.organization_id,
      'user_id', d.user_id, 'subscriber_id', s.id, 'subscriber', s.name,
      'outcome', outcome_name(d.outcome), 'reason', d.reason, 'last_status', d.last_status,
      'last_error', d.last_error, 'attempts', d.attempts, 'at', d.failed_at))
    FROM letters d LEFT JOIN subscribers s USING (sid)
    WHERE d.summarised = 0 AND NOT is_operator_event(d.event_type)
    ORDER BY d.event_seq;
  END IF;
  RETURN NULL;
END $$;

-- False: there is no such event. The lock on dead_letter_queue waits for the letters that are being
-- written, whose statements may have read the payload before; those after it see that it is gone.
CREATE FUNCTION expunge_payload(event uuid) RETURNS boolean
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
DECLARE found_seq bigint; p record; known boolean := false;
BEGIN
  UPDATE outbox SET payload = '{}', payload_expunged_at = coalesce(payload_expunged_at, now())
    WHERE event_id = event AND id < 0;
  known := FOUND;
  UPDATE outbox SET payload = '{}', payload_expunged_at = coalesce(payload_expunged_at, now())
    WHERE event_id = event AND id > 0;
  known := known OR FOUND;
  UPDATE outbox_refused SET payload = '{}' WHERE event_id = event;
  known := known OR FOUND;
  IF known THEN RETURN true; END IF;
  FOR p IN SELECT lower, upper FROM partitions ORDER BY number DESC LOOP
    UPDATE events e
      SET payload = '{}', payload_expunged_at = coalesce(e.payload_expunged_at, now())
      WHERE e.id = event AND e.event_seq >= p.lower AND e.event_seq < p.upper
      RETURNING e.event_seq INTO found_seq;
    EXIT WHEN found_seq IS NOT NULL;
  END LOOP;
  UPDATE subscribers_version SET expunged = expunged + 1;
  LOCK TABLE dead_letter_queue IN SHARE ROW EXCLUSIVE MODE;
  PERFORM set_config('eventhub.expunging', 'on', true);
  IF found_seq IS NULL THEN  -- its partition is gone; a letter may be left
    UPDATE dead_letter_queue SET payload = NULL WHERE event_id = event;
    known := FOUND;
  ELSE
    UPDATE dead_letter_queue SET payload = NULL WHERE event_seq = found_seq;
    known := true;
  END IF;
  PERFORM set_config('eventhub.expunging', '', true);
  RETURN known;
END $$;
COMMENT ON FUNCTION expunge_payload(uuid) IS
  'Takes the payload of an event away, for an erasure request. Its open messages end as expunged.';
