-- Which answers are tried again: statuses, or a whole class of them (5xx). Any other 3xx, 4xx or
-- 5xx is a dead letter at once. No answer is always tried again, 2xx never.

CREATE FUNCTION statuses_ok(statuses text[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT coalesce(cardinality(statuses) <= 100, false)
             AND coalesce(array_ndims(statuses), 1) = 1
             AND (SELECT coalesce(bool_and(coalesce(s ~ '^[345]([0-9][0-9]|xx)$', false)), true)
                  FROM unnest(statuses) s) $$;

ALTER TABLE subscribers ADD COLUMN retry_statuses text[] NOT NULL DEFAULT '{429,5xx}'
  CONSTRAINT retry_statuses_are_at_most_100_like_404_or_5xx CHECK (statuses_ok(retry_statuses));

ALTER TABLE subscribers ADD CONSTRAINT headers_take_at_most_32768_bytes
  CHECK (octet_length(headers::text) <= 32768);

-- Whose changes the log shows as those of the key in the settings.
ALTER TABLE api_keys ADD CONSTRAINT name_is_not_that_of_the_key_in_the_settings
  CHECK (name <> 'EVENTHUB_ADMIN_KEY');
