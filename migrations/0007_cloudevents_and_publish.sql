-- Two more bodies of webhooks, and publishing from SQL.

ALTER TABLE subscribers
  DROP CONSTRAINT body_is_payload_or_envelope,
  ADD CONSTRAINT body_is_payload_envelope_or_a_mode_of_cloudevents
    CHECK (body IN ('payload', 'envelope', 'cloudevents_binary', 'cloudevents_structured'));

-- Publishing from SQL. publish() writes a row of `outbox` in the producer's own transaction and
-- shares no lock with anybody, so a transaction that stays open holds up nobody. What is committed
-- is moved to `events` by one process of the role fanout, in the order of `id`.

ALTER TABLE outbox
  ADD COLUMN traceparent text,
  ADD CONSTRAINT event_type_is_1_to_255_of_letters_digits_and_signs
    CHECK (event_type ~ '^[A-Za-z0-9_.:/-]{1,255}$'),
  ADD CONSTRAINT version_is_1_to_64_printable_ascii_without_outer_spaces
    CHECK (version ~ '^[!-~]([ -~]{0,62}[!-~])?$'),
  ADD CONSTRAINT organization_id_is_1_to_255_without_control_characters
    CHECK (length(organization_id) BETWEEN 1 AND 255
           AND organization_id !~ '[\u0001-\u001f\u007f-\u009f]'),
  ADD CONSTRAINT user_id_is_1_to_255_without_control_characters
    CHECK (length(user_id) BETWEEN 1 AND 255 AND user_id !~ '[\u0001-\u001f\u007f-\u009f]'),
  ADD CONSTRAINT payload_is_a_json_object_or_array
    CHECK (json_typeof(payload::json) IN ('object', 'array')),
  ADD CONSTRAINT k_and_fingerprint_come_together CHECK ((k IS NULL) = (fingerprint IS NULL)),
  SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE outbox IS 'Published by SQL, not moved to events yet.';

INSERT INTO settings VALUES ('publish_payload_bytes_max', '1048576');

CREATE TABLE outbox_refused (
  event_id        uuid PRIMARY KEY,
  event_type      text NOT NULL,
  version         text NOT NULL,
  organization_id text,
  user_id         text,
  payload         text NOT NULL,
  published_at    timestamptz NOT NULL,
  refused_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_refused_at ON outbox_refused (refused_at);
COMMENT ON TABLE outbox_refused IS
  'Published by SQL with an idempotency key that was used before for another event: SQL''s 422.';

-- 128 bits of SHA-256 over the parts, each preceded by its length: what the API remembers of keys
-- and events (src/http/digest.cpp).
CREATE FUNCTION digest128(VARIADIC parts text[]) RETURNS uuid
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$
SELECT encode(substring(sha256(string_agg(int8send(octet_length(p)) || convert_to(p, 'UTF8'),
                                          ''::bytea ORDER BY n)) FOR 16), 'hex')::uuid
FROM unnest(parts) WITH ORDINALITY u(p, n) $$;

CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
SELECT encode(set_bit(set_bit(
  overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
  52, 1), 53, 1), 'hex')::uuid $$;

CREATE FUNCTION publish(event_type text, payload text, organization_id text DEFAULT NULL,
                        user_id text DEFAULT NULL, version text DEFAULT 'v1',
                        idempotency_key text DEFAULT NULL, producer text DEFAULT '',
                        traceparent text DEFAULT NULL) RETURNS uuid
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
                      fingerprint, traceparent)
    VALUES (made, event_type, revision, organization_id, user_id, whole, hashed, finger,
            CASE WHEN traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
                 THEN traceparent END);
  RETURN made;
END $$;
COMMENT ON FUNCTION publish(text, text, text, text, text, text, text, text) IS
  'Publishes an event with the transaction that calls it. Returns the id it will have.';

CREATE FUNCTION publish(event_type text, payload json, organization_id text DEFAULT NULL,
                        user_id text DEFAULT NULL, version text DEFAULT 'v1',
                        idempotency_key text DEFAULT NULL, producer text DEFAULT '',
                        traceparent text DEFAULT NULL) RETURNS uuid
  LANGUAGE sql SET search_path FROM CURRENT
  AS $$ SELECT publish(event_type, payload::text, organization_id, user_id, version,
                       idempotency_key, producer, traceparent) $$;

CREATE FUNCTION publish(event_type text, payload jsonb, organization_id text DEFAULT NULL,
                        user_id text DEFAULT NULL, version text DEFAULT 'v1',
                        idempotency_key text DEFAULT NULL, producer text DEFAULT '',
                        traceparent text DEFAULT NULL) RETURNS uuid
  LANGUAGE sql SET search_path FROM CURRENT
  AS $$ SELECT publish(event_type, payload::text, organization_id, user_id, version,
                       idempotency_key, producer, traceparent) $$;

-- Moves the first rows of `outbox`. Called by one session of the hub alone. The rows are locked
-- before the ordering lock is taken (a row that somebody else holds is left for later), so that
-- nobody waits for anything while it is held.
CREATE FUNCTION move_outbox(rows_max integer, bytes_max bigint, lock_space integer,
                            lock_ordering integer, OUT taken integer, OUT refused integer,
                            OUT last_seq bigint, OUT types text[])
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
DECLARE ids bigint[];
BEGIN
  SELECT array_agg(o.id) INTO ids
  FROM (SELECT locked.id, sum(locked.bytes) OVER (ORDER BY locked.id) - locked.bytes AS before
        FROM (SELECT x.id, octet_length(x.payload) AS bytes FROM outbox x
              WHERE x.due_at IS NULL OR x.due_at <= clock_timestamp()
              ORDER BY x.id LIMIT rows_max FOR UPDATE SKIP LOCKED) locked) o
  WHERE o.before < bytes_max;
  taken := coalesce(cardinality(ids), 0);
  refused := 0;
  IF taken = 0 THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(lock_space, lock_ordering);
  -- A statement of its own, so that its snapshot is younger than the lock: who finds no key has
  -- won.
  WITH gone AS MATERIALIZED (
    DELETE FROM outbox o WHERE o.id = ANY (ids) RETURNING o.*
  ), known AS MATERIALIZED (
    SELECT DISTINCT ON (i.k) i.k, i.fingerprint FROM idempotency_keys i
    WHERE i.k = ANY (ARRAY(SELECT g.k FROM gone g WHERE g.k IS NOT NULL))
    ORDER BY i.k, i.created_at
  ), judged AS MATERIALIZED (
    SELECT g.*, known.k IS NULL AND (g.k IS NULL OR row_number() OVER same_key = 1) AS fresh,
           g.fingerprint = coalesce(known.fingerprint, first_value(g.fingerprint) OVER same_key)
             AS known_event
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
  ), written AS (
    INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload)
    SELECT j.event_id, j.event_type, j.version, j.organization_id, j.user_id, j.traceparent,
           j.payload
    FROM judged j WHERE j.fresh ORDER BY j.id
    RETURNING event_seq, events.event_type
  )
  SELECT (SELECT count(*) FROM set_aside), max(w.event_seq), array_agg(w.event_type)
  INTO refused, last_seq, types FROM written w;
END $$;
