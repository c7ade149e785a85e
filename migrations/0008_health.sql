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
