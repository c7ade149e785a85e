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
