-- spread: the number of shards that a subscriber's messages are spread over. All messages of a key
-- must stay in one shard, whatever becomes of max_in_flight, so it is fixed while the subscriber is
-- ordered.
-- redeliveries count their attempts, so that one that kills its worker ends like any other message.
-- A second discard of a dead letter is no fault.

ALTER TABLE subscribers ADD COLUMN spread smallint;
UPDATE subscribers SET spread = least(16, max_in_flight);
ALTER TABLE subscribers ALTER COLUMN spread SET NOT NULL;

CREATE FUNCTION keep_spread() RETURNS trigger
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
    NEW.spread := least(16, NEW.max_in_flight);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER subscribers_spread
  BEFORE INSERT OR UPDATE ON subscribers
  FOR EACH ROW EXECUTE FUNCTION keep_spread();

ALTER TABLE redeliveries
  ADD COLUMN attempt smallint NOT NULL DEFAULT 0,         -- attempts ended since it was requested
  ADD COLUMN due_at timestamptz NOT NULL DEFAULT now();

CREATE OR REPLACE FUNCTION discard_dead_letter(message uuid) RETURNS void
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
DECLARE d dead_letter_queue;
BEGIN
  SELECT * INTO d FROM dead_letter_queue WHERE message_id = message;
  IF NOT FOUND THEN
    RAISE no_data_found USING MESSAGE = format('no dead letter %s', message);
  END IF;
  INSERT INTO discards (event_seq, sid, shard, khash) VALUES (d.event_seq, d.sid, d.shard, d.khash)
    ON CONFLICT DO NOTHING;
  PERFORM pg_notify('eventhub_control', '');
END $$;
