-- rate_limit: requests per second, over all processes. A process that owns n of a subscriber's
-- `spread` shards may use n / spread of it, so the shards are no more than the whole requests of a
-- second: with rate_limit <= 1 one process has all of it.

ALTER TABLE subscribers ADD COLUMN rate_limit double precision
  CONSTRAINT rate_limit_is_at_least_0_001_and_at_most_1000000
  CHECK (rate_limit BETWEEN 0.001 AND 1000000);

CREATE OR REPLACE FUNCTION keep_spread() RETURNS trigger
  LANGUAGE plpgsql
  AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.ordering_enabled AND NEW.ordering_enabled THEN
    NEW.spread := OLD.spread;
    IF NEW.max_in_flight < NEW.spread THEN
      RAISE check_violation USING
        CONSTRAINT = 'max_in_flight_of_an_ordered_subscriber_stays_at_least_its_spread',
        MESSAGE = format('max_in_flight of an ordered subscriber cannot go below the %s shards of '
                         'its keys', NEW.spread),
        HINT = 'Make a new subscriber with the lower max_in_flight.';
    END IF;
  ELSE
    NEW.spread := least(16, NEW.max_in_flight,
                        CASE WHEN NEW.rate_limit IS NOT NULL
                             THEN greatest(1, floor(NEW.rate_limit)) END);
  END IF;
  RETURN NEW;
END $$;

-- ── receivers that fail ────────────────────────────────────────────────────────────────────────

ALTER TABLE subscribers
  ADD COLUMN circuit_failures integer  -- failures in a row that open the circuit; NULL: none do
    CONSTRAINT circuit_failures_is_1_to_10000 CHECK (circuit_failures BETWEEN 1 AND 10000),
  ADD COLUMN circuit_open_ms integer NOT NULL DEFAULT 30000
    CONSTRAINT circuit_open_ms_is_100_to_3600000 CHECK (circuit_open_ms BETWEEN 100 AND 3600000);

-- What all dispatchers know together. A subscriber without a row is healthy.
CREATE TABLE subscriber_health (
  sid           integer PRIMARY KEY,
  failing_since timestamptz,  -- nothing but failures since then
  last_failure  timestamptz,  -- the last one that was told; not each is
  circuit       text NOT NULL DEFAULT 'closed' CHECK (circuit IN ('closed', 'open', 'half_open')),
  opened_at     timestamptz,  -- the first time since the last success
  until         timestamptz,  -- open: then one message may go; half_open: then another one may
  prober        uuid,         -- half_open: the node that sends it
  spent         boolean NOT NULL DEFAULT false  -- closed after circuit_hold_max, nothing delivered
) WITH (fillfactor = 50);

-- Who is resumed, or has another address, begins anew.
CREATE FUNCTION forget_health() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$ BEGIN DELETE FROM subscriber_health WHERE sid = OLD.sid; RETURN NULL; END $$;
CREATE TRIGGER subscribers_begin_anew
  AFTER UPDATE ON subscribers FOR EACH ROW
  WHEN ((OLD.paused AND NOT NEW.paused) OR (NEW.is_active AND NOT OLD.is_active)
        OR OLD.webhook_url <> NEW.webhook_url)
  EXECUTE FUNCTION forget_health();
CREATE TRIGGER subscribers_gone
  AFTER DELETE ON subscribers FOR EACH ROW EXECUTE FUNCTION forget_health();

-- ── what operators want to know ────────────────────────────────────────────────────────────────
-- Written in the transaction that is its cause, when somebody subscribes to it; cleanup moves it to
-- `events`, where it is an event like any other.

CREATE TABLE operator_events (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_type text  NOT NULL,
  payload    jsonb NOT NULL
);

-- Version 4 with the time in front and the other number: version 7.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS
$$ SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(
     (extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1),
     'hex')::uuid $$;

CREATE FUNCTION is_operator_event(event_type text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(event_type IN ('eventhub.subscriber.paused', 'eventhub.subscriber.recovered',
                                  'eventhub.message.dead'), false) $$;

-- Whether a subscriber asks for any of them by name; `>` alone does not, it gets what others asked
-- for. Few do, and an index finds those.
CREATE FUNCTION operator_patterns(event_type text, event_types text[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(event_type LIKE 'eventhub.%', false)
      OR EXISTS (SELECT FROM unnest(event_types) p WHERE p LIKE 'eventhub.%') $$;
CREATE INDEX subscribers_operators ON subscribers (sid)
  WHERE operator_patterns(event_type, event_types);

CREATE FUNCTION pattern_matches(pattern text, wanted text) RETURNS boolean
  LANGUAGE sql IMMUTABLE AS
$$ SELECT wanted ~ ('^' || replace(replace(replace(pattern, '.', '\.'), '*', '[^.]+'), '>', '.+')
                    || '$') $$;

CREATE FUNCTION operator_event_wanted(wanted text) RETURNS boolean LANGUAGE sql STABLE
  SET search_path FROM CURRENT AS
$$ SELECT EXISTS (
     SELECT FROM subscribers s, unnest(array_append(s.event_types, s.event_type)) p
     WHERE s.is_active AND operator_patterns(s.event_type, s.event_types)
       AND p LIKE 'eventhub.%' AND pattern_matches(p, wanted)) $$;

CREATE FUNCTION tell_of_pause() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
DECLARE
  told text := 'eventhub.subscriber.' || CASE WHEN NEW.paused THEN 'paused' ELSE 'recovered' END;
BEGIN
  IF operator_event_wanted(told) THEN
    INSERT INTO operator_events (event_type, payload) VALUES (told, jsonb_build_object(
      'subscriber_id', NEW.id, 'name', NEW.name, 'at', now(),
      'reason', CASE WHEN NEW.paused THEN NEW.paused_reason ELSE 'resumed' END));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER subscribers_told
  AFTER UPDATE ON subscribers FOR EACH ROW WHEN (OLD.paused <> NEW.paused)
  EXECUTE FUNCTION tell_of_pause();

CREATE FUNCTION tell_of_circuit() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
BEGIN
  IF operator_event_wanted('eventhub.subscriber.recovered') THEN
    INSERT INTO operator_events (event_type, payload)
    SELECT 'eventhub.subscriber.recovered', jsonb_build_object('subscriber_id', s.id,
      'name', s.name, 'at', now(), 'reason', 'circuit_closed', 'opened_at', OLD.opened_at)
    FROM subscribers s WHERE s.sid = NEW.sid;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER subscriber_health_told
  AFTER UPDATE ON subscriber_health FOR EACH ROW
  WHEN (OLD.circuit <> 'closed' AND NEW.circuit = 'closed' AND NOT NEW.spent)
  EXECUTE FUNCTION tell_of_circuit();

-- A dead letter of such an event is told of by none: no loop.
CREATE FUNCTION tell_of_dead_letters() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
BEGIN
  IF operator_event_wanted('eventhub.message.dead') THEN
    INSERT INTO operator_events (event_type, payload)
    SELECT 'eventhub.message.dead', jsonb_build_object('message_id', d.message_id,
      'event_id', d.event_id, 'event_type', d.event_type, 'organization_id', d.organization_id,
      'user_id', d.user_id, 'subscriber_id', s.id, 'subscriber', s.name,
      'outcome', outcome_name(d.outcome), 'reason', d.reason, 'last_status', d.last_status,
      'last_error', d.last_error, 'attempts', d.attempts, 'at', d.failed_at)
    FROM letters d LEFT JOIN subscribers s USING (sid)
    WHERE d.summarised = 0 AND NOT is_operator_event(d.event_type)
    ORDER BY d.event_seq;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER dead_letters_told AFTER INSERT ON dead_letter_queue
  REFERENCING NEW TABLE AS letters FOR EACH STATEMENT EXECUTE FUNCTION tell_of_dead_letters();
CREATE TRIGGER dead_letters_told_again AFTER UPDATE ON dead_letter_queue
  REFERENCING NEW TABLE AS letters FOR EACH STATEMENT EXECUTE FUNCTION tell_of_dead_letters();
