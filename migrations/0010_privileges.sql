-- Trigger functions that act for whoever changes a table run as the hub's role. Nobody else may
-- attach them: the columns of a table of his own would be compared there by functions of his own.
-- The triggers that there are ask for no privilege. publish() stays open to all who may use the
-- schema.
DO $$
DECLARE f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS signature FROM pg_proc p
           WHERE p.pronamespace = to_regnamespace(quote_ident(current_schema()))
             AND p.prosecdef AND p.proname <> 'publish' LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f.signature);
  END LOOP;
END $$;

-- What operators are told of is published in the transaction that is its cause, and must not make
-- that fail: whatever is wrong with it, no limit of publish() counts, and it is left out at worst.
CREATE FUNCTION publish_notice(event_type text, notice jsonb) RETURNS void
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
BEGIN
  INSERT INTO outbox (event_id, event_type, version, payload)
    VALUES (uuid_v7(), event_type, 'v1', notice::text);
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'an operator event is left out: %', SQLERRM;
END $$;

CREATE OR REPLACE FUNCTION tell_of_pause() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
DECLARE
  told text := 'eventhub.subscriber.' || CASE WHEN NEW.paused THEN 'paused' ELSE 'recovered' END;
BEGIN
  IF operator_event_wanted(told) THEN
    PERFORM publish_notice(told, jsonb_build_object(
      'subscriber_id', NEW.id, 'name', NEW.name, 'at', now(),
      'reason', CASE WHEN NEW.paused THEN NEW.paused_reason ELSE 'resumed' END));
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tell_of_circuit() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
BEGIN
  IF operator_event_wanted('eventhub.subscriber.recovered') THEN
    PERFORM publish_notice('eventhub.subscriber.recovered', jsonb_build_object(
      'subscriber_id', s.id, 'name', s.name, 'at', now(), 'reason', 'circuit_closed',
      'opened_at', OLD.opened_at))
    FROM subscribers s WHERE s.sid = NEW.sid;
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tell_of_dead_letters() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
BEGIN
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
