-- Append-only on the hot path: events, messages and delivery_attempts are only ever inserted into and go by
-- partition. A message's state is its last attempt; what waits long lives in `parked`.
-- Everything is created in the first schema of search_path (default: eventhub).

CREATE TABLE settings (
  name  text PRIMARY KEY,
  value text NOT NULL
);
COMMENT ON TABLE settings IS 'Facts fixed when the schema was made: partition_rows.';

CREATE FUNCTION setting_bigint(wanted text) RETURNS bigint
  LANGUAGE sql STABLE SET search_path FROM CURRENT
  AS $$ SELECT value::bigint FROM settings WHERE name = wanted $$;

-- ── subscribers ────────────────────────────────────────────────────────────────────────────────────────

CREATE FUNCTION backoff_ok(waits double precision[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT coalesce(array_ndims(waits) = 1 AND cardinality(waits) <= 100, false)
             AND (SELECT bool_and(coalesce(w >= 0 AND w <= 86400, false)) FROM unnest(waits) w) $$;

CREATE FUNCTION patterns_ok(patterns text[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT coalesce(array_ndims(patterns) = 1, false)
             AND (SELECT bool_and(coalesce(p ~ '^(>|[A-Za-z0-9_:/-]+|\*)(\.([A-Za-z0-9_:/-]+|\*))*(\.>)?$'
                                           AND p !~ '^>\.' AND length(p) <= 255, false))
                  FROM unnest(patterns) p) $$;

CREATE TABLE subscribers (
  sid integer GENERATED ALWAYS AS IDENTITY UNIQUE,
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL CONSTRAINT name_is_1_to_255_characters CHECK (length(name) BETWEEN 1 AND 255),
  event_type text
    CONSTRAINT event_type_is_exact_or_a_wildcard_like_user_star CHECK (event_type IS NULL OR patterns_ok(ARRAY[event_type])),
  event_types text[] CONSTRAINT event_types_are_exact_or_wildcards
    CHECK (event_types IS NULL OR (cardinality(event_types) BETWEEN 1 AND 100 AND patterns_ok(event_types))),
  webhook_url text NOT NULL
    CONSTRAINT webhook_url_is_an_absolute_http_or_https_url
    CHECK (webhook_url ~* '^https?://[^[:space:][:cntrl:]@/?#]+([/?][^[:space:][:cntrl:]#]*)?$'
           AND length(webhook_url) <= 2048),
  delivery_guarantee text NOT NULL DEFAULT 'at_least_once'
    CONSTRAINT delivery_guarantee_is_at_least_once_or_at_most_once
    CHECK (delivery_guarantee IN ('at_least_once', 'at_most_once')),
  ordering_enabled boolean NOT NULL DEFAULT false,
  ordering_key text
    CONSTRAINT ordering_key_is_organization_id_or_user_id
    CHECK (ordering_key IN ('organization_id', 'user_id')),
  retry_limit integer NOT NULL DEFAULT 3
    CONSTRAINT retry_limit_is_0_to_100 CHECK (retry_limit BETWEEN 0 AND 100),
  retry_backoff_seconds double precision[] NOT NULL DEFAULT '{5,30,300}'
    CONSTRAINT retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400
    CHECK (backoff_ok(retry_backoff_seconds)),
  retry_jitter double precision NOT NULL DEFAULT 0
    CONSTRAINT retry_jitter_is_0_to_1 CHECK (retry_jitter BETWEEN 0 AND 1),
  is_active boolean NOT NULL DEFAULT true,
  paused boolean NOT NULL DEFAULT false,
  paused_reason text,
  on_dead text NOT NULL DEFAULT 'continue'
    CONSTRAINT on_dead_is_continue_or_block CHECK (on_dead IN ('continue', 'block')),
  max_in_flight integer NOT NULL DEFAULT 64
    CONSTRAINT max_in_flight_is_1_to_10000 CHECK (max_in_flight BETWEEN 1 AND 10000),
  timeout_ms integer
    CONSTRAINT timeout_ms_is_1_to_60000 CHECK (timeout_ms BETWEEN 1 AND 60000),
  body text NOT NULL DEFAULT 'payload'
    CONSTRAINT body_is_payload_or_envelope CHECK (body IN ('payload', 'envelope')),
  headers jsonb NOT NULL DEFAULT '{}'
    CONSTRAINT headers_is_an_object CHECK (jsonb_typeof(headers) = 'object'),
  secret text
    CONSTRAINT secret_is_whsec_and_base64 CHECK (secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'),
  previous_secret text
    CONSTRAINT previous_secret_is_whsec_and_base64
    CHECK (previous_secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'),
  previous_secret_until timestamptz,
  filter jsonb,  -- prepared for payload filters; must be NULL until they come
  created_by text NOT NULL CONSTRAINT created_by_is_not_empty CHECK (created_by <> ''),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT event_type_or_event_types_is_needed CHECK (event_type IS NOT NULL OR event_types IS NOT NULL),
  CONSTRAINT ordering_enabled_needs_an_ordering_key
    CHECK (NOT ordering_enabled OR ordering_key IS NOT NULL),
  CONSTRAINT filter_is_not_supported_yet CHECK (filter IS NULL)
);

CREATE TABLE subscribers_version (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO subscribers_version DEFAULT VALUES;

CREATE FUNCTION bump_subscribers_version() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$ BEGIN UPDATE subscribers_version SET version = version + 1; RETURN NULL; END $$;
CREATE TRIGGER subscribers_changed
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON subscribers
  FOR EACH STATEMENT EXECUTE FUNCTION bump_subscribers_version();

-- ── the log: three insert-only tables cut alike by event_seq ────────────────────────────────────────────

CREATE SEQUENCE event_seq MINVALUE 1 CACHE 1;  -- taken under the ordering lock: order of acceptance

CREATE TABLE events (
  event_seq       bigint NOT NULL DEFAULT nextval('event_seq'),
  id              uuid NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  event_type      text NOT NULL,
  version         text NOT NULL,
  organization_id text,
  user_id         text,
  traceparent     text,
  expires_at      timestamptz,  -- prepared: expiring events
  producer        text,         -- prepared: name of the API key
  payload         text NOT NULL,  -- the producer's bytes; valid JSON that jsonb may refuse
  PRIMARY KEY (event_seq)
) PARTITION BY RANGE (event_seq);
CREATE INDEX events_id ON events USING brin (id uuid_minmax_multi_ops)
  WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE messages (
  event_seq bigint   NOT NULL,
  sid       integer  NOT NULL,
  shard     smallint NOT NULL,
  khash     bigint,  -- hash of the ordering key; NULL = unordered
  PRIMARY KEY (event_seq, sid)
) PARTITION BY RANGE (event_seq);

CREATE TABLE delivery_attempts (
  event_seq       bigint      NOT NULL,
  sid             integer     NOT NULL,
  shard           smallint    NOT NULL,
  attempt         smallint    NOT NULL,
  outcome         smallint    NOT NULL,  -- outcome_name()
  http_status     smallint,
  latency_ms      integer,
  attempted_at    timestamptz NOT NULL,  -- when it was sent
  next_attempt_at timestamptz,
  error           text,
  response        text                   -- first 1 KiB of a non-2xx answer
) PARTITION BY RANGE (event_seq);
CREATE INDEX delivery_attempts_seq ON delivery_attempts
  USING brin (event_seq int8_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE partitions (
  number integer PRIMARY KEY,
  lower  bigint NOT NULL,
  upper  bigint NOT NULL CHECK (upper > lower)
);

-- Makes the next partition of all three tables. The caller holds the partitions lock.
-- LIKE + CHECK + ATTACH instead of PARTITION OF: no ACCESS EXCLUSIVE lock on the parent.
CREATE FUNCTION create_next_partition() RETURNS void
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
DECLARE
  n integer; lo bigint; hi bigint; live integer; t text;
BEGIN
  SELECT coalesce(max(number) + 1, 0), coalesce(max(upper), 0), count(*) INTO n, lo, live FROM partitions;
  -- Past half of the bound of 100 partitions they grow, so that their number stays bounded.
  hi := lo + setting_bigint('partition_rows') * CASE WHEN live > 50 THEN power(2, (live - 50) / 5 + 1)::bigint ELSE 1 END;
  FOREACH t IN ARRAY ARRAY['events', 'messages', 'delivery_attempts'] LOOP
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = 100, '
                   'autovacuum_vacuum_insert_threshold = -1)', t || '_p' || n, t);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT range_check CHECK (event_seq >= %s AND event_seq < %s)',
                   t || '_p' || n, lo, hi);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   t, t || '_p' || n, lo, hi);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT range_check', t || '_p' || n);
  END LOOP;
  INSERT INTO partitions VALUES (n, lo, hi);
END $$;

-- ── owners ─────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE nodes (
  node          uuid PRIMARY KEY,
  name          text NOT NULL,
  roles         text[] NOT NULL,
  version       text NOT NULL,
  pid           integer,      -- backend of the session that holds this node's shard locks
  backend_start timestamptz,
  shards        integer NOT NULL DEFAULT 0,
  started_at    timestamptz NOT NULL DEFAULT now(),
  heartbeat     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE shards (
  shard       smallint PRIMARY KEY,
  lwm         bigint NOT NULL DEFAULT 0,  -- every open message of the shard above it is found in messages, below in parked
  owner       uuid,
  clean       boolean NOT NULL DEFAULT true,
  unclean     integer NOT NULL DEFAULT 0,  -- unclean take-overs in a row
  acquired_at timestamptz
) WITH (fillfactor = 50);
INSERT INTO shards (shard) SELECT generate_series(0, 63);

CREATE TABLE sequencer (
  only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  cursor       bigint NOT NULL DEFAULT 0,  -- every event up to here has its messages
  expire_below bigint NOT NULL DEFAULT 0   -- owners expire parked messages below this
) WITH (fillfactor = 50);
INSERT INTO sequencer DEFAULT VALUES;

-- ── messages that wait long, and people's requests ─────────────────────────────────────────────────────

CREATE TABLE parked (
  event_seq bigint      NOT NULL,
  sid       integer     NOT NULL,
  shard     smallint    NOT NULL,
  khash     bigint,
  attempt   smallint    NOT NULL DEFAULT 0,   -- attempts ended so far
  started   boolean     NOT NULL DEFAULT false,
  due_at    timestamptz NOT NULL DEFAULT now(),
  reason    smallint    NOT NULL,             -- wait_reason_name()
  parked_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (event_seq, sid)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX parked_key ON parked (shard, sid, khash, event_seq);
CREATE INDEX parked_due ON parked (shard, sid, due_at, event_seq) WHERE khash IS NULL;

CREATE TABLE redeliveries (
  event_seq    bigint      NOT NULL,
  sid          integer     NOT NULL,
  shard        smallint    NOT NULL,
  khash        bigint,
  started      boolean     NOT NULL DEFAULT false,
  requested_at timestamptz NOT NULL DEFAULT now(),
  requested_by text,
  PRIMARY KEY (event_seq, sid)
);
CREATE INDEX redeliveries_shard ON redeliveries (shard);

CREATE TABLE redelivery_attempts (
  event_seq       bigint      NOT NULL,
  sid             integer     NOT NULL,
  attempt         smallint    NOT NULL,
  outcome         smallint    NOT NULL,
  http_status     smallint,
  latency_ms      integer,
  attempted_at    timestamptz NOT NULL,
  next_attempt_at timestamptz,
  error           text,
  response        text
);
CREATE INDEX redelivery_attempts_message ON redelivery_attempts (event_seq, sid);

CREATE TABLE dead_letter_queue (
  event_seq           bigint      NOT NULL,
  sid                 integer     NOT NULL,
  shard               smallint    NOT NULL,
  khash               bigint,
  message_id          uuid        NOT NULL,
  event_id            uuid,
  outcome             smallint    NOT NULL,
  reason              text        NOT NULL,
  last_status         smallint,
  last_error          text,
  attempts            smallint    NOT NULL,
  failed_at           timestamptz NOT NULL DEFAULT now(),
  event_type          text,
  version             text,
  organization_id     text,
  user_id             text,
  payload             text,
  accepted_at         timestamptz,
  subscriber_snapshot jsonb,
  summarised          bigint      NOT NULL DEFAULT 0,  -- > 0: stands for so many expired messages
  PRIMARY KEY (event_seq, sid)
);
CREATE INDEX dead_letter_queue_failed_at ON dead_letter_queue (failed_at);
CREATE INDEX dead_letter_queue_key ON dead_letter_queue (shard, sid, khash);

CREATE TABLE discards (  -- a person's wish to give up a dead letter that blocks its key
  event_seq bigint NOT NULL, sid integer NOT NULL, shard smallint NOT NULL, khash bigint,
  requested_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (event_seq, sid)
);

-- Time buckets: partitions dropped by age; a key is looked up in all that live.
CREATE TABLE idempotency_keys (
  k           uuid NOT NULL,         -- 128 bits of a hash of (scope, key)
  fingerprint uuid NOT NULL,         -- … of the request
  event_id    uuid NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (k, created_at)
) PARTITION BY RANGE (created_at);

CREATE TABLE outbox (  -- prepared: eventhub.publish() and deliver_after
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id        uuid NOT NULL,
  event_type      text NOT NULL,
  version         text NOT NULL,
  organization_id text,
  user_id         text,
  payload         text NOT NULL,
  k               uuid,
  fingerprint     uuid,
  due_at          timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now()
);
