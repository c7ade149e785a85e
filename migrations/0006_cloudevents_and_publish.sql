-- Two more bodies of webhooks.

ALTER TABLE subscribers
  DROP CONSTRAINT body_is_payload_or_envelope,
  ADD CONSTRAINT body_is_payload_envelope_or_a_mode_of_cloudevents
    CHECK (body IN ('payload', 'envelope', 'cloudevents_binary', 'cloudevents_structured'));
