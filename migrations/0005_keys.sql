-- API keys: who may publish, read and manage. Of a key only its SHA-256 is here. A revoked one
-- stays, so that who made what can still be told; while the table has a row the hub asks for a key.

CREATE FUNCTION scopes_ok(scopes text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(array_ndims(scopes) = 1, false)
      AND scopes <@ ARRAY['publish', 'read', 'admin'] $$;

CREATE TABLE api_keys (
  id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name         text NOT NULL
    CONSTRAINT name_is_1_to_100_plain_characters CHECK (name ~ '^[A-Za-z0-9_.:/@-]{1,100}$'),
  producer     text NOT NULL  -- the scope of its idempotency keys
    CONSTRAINT producer_is_1_to_100_plain_characters
    CHECK (producer ~ '^[A-Za-z0-9_.:/@-]{1,100}$'),
  scopes       text[] NOT NULL
    CONSTRAINT scopes_are_of_publish_read_admin CHECK (scopes_ok(scopes)),
  token_sha256 bytea NOT NULL UNIQUE
    CONSTRAINT token_sha256_has_32_bytes CHECK (length(token_sha256) = 32),
  rate         double precision  -- requests per second; NULL: as many as it likes
    CONSTRAINT rate_is_at_least_0_001_and_at_most_1000000 CHECK (rate BETWEEN 0.001 AND 1000000),
  burst        integer           -- requests at once
    CONSTRAINT burst_is_1_to_1000000 CHECK (burst BETWEEN 1 AND 1000000),
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   text NOT NULL,
  last_used_at timestamptz,  -- written every few seconds, not by each request
  revoked_at   timestamptz,
  revoked_by   text,
  CONSTRAINT rate_and_burst_come_together CHECK ((rate IS NULL) = (burst IS NULL))
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;

CREATE TABLE api_keys_version (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO api_keys_version DEFAULT VALUES;

CREATE FUNCTION bump_api_keys_version() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
  AS $$
BEGIN
  UPDATE api_keys_version SET version = version + 1;
  PERFORM pg_notify('eventhub_keys', '');
  RETURN NULL;
END $$;
CREATE TRIGGER api_keys_changed
  AFTER INSERT OR DELETE OR TRUNCATE
     OR UPDATE OF id, name, producer, scopes, token_sha256, rate, burst, revoked_at ON api_keys
  FOR EACH STATEMENT EXECUTE FUNCTION bump_api_keys_version();
