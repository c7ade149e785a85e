-- Which events a subscriber gets: filters over payload and envelope, an organization of its own;
-- and ordering keys that are a place in the payload (JSON Pointer, RFC 6901).

CREATE FUNCTION json_pointer_ok(pointer text) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT pointer ~ '^(/([^~/]|~[01])*)*$' AND octet_length(pointer) <= 255 $$;

-- A value that a filter may compare with.
CREATE FUNCTION filter_value_ok(value jsonb) RETURNS boolean
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT CASE jsonb_typeof(value)
                 WHEN 'number' THEN abs(value::numeric) < 1e1000
                   AND (value::numeric = 0 OR abs(value::numeric) >= 1e-1001)
                 ELSE jsonb_typeof(value) IN ('string', 'boolean', 'null') END $$;

-- How many parts a filter has; NULL when it is none. The same language as Filter::compile() of the
-- hub (src/core/filter_compile.cpp), which tells what is wrong and where.
CREATE FUNCTION filter_parts(node jsonb, depth integer DEFAULT 1) RETURNS integer
  LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
  AS $$
DECLARE
  op text; wanted jsonb; kind text; child jsonb;
  parts integer := 1; sources integer := 0; tests integer := 0; good boolean;
BEGIN
  IF jsonb_typeof(node) <> 'object' OR depth > 16 THEN RETURN NULL; END IF;
  FOR op, wanted IN SELECT * FROM jsonb_each(node) LOOP
    kind := jsonb_typeof(wanted);
    IF op IN ('all', 'any', 'not') THEN
      IF node - op <> '{}' THEN RETURN NULL; END IF;
      IF op = 'not' THEN
        wanted := jsonb_build_array(wanted);
      ELSIF kind <> 'array' OR wanted = '[]' THEN
        RETURN NULL;
      END IF;
      FOR child IN SELECT * FROM jsonb_array_elements(wanted) LOOP
        parts := parts + filter_parts(child, depth + 1);
        IF parts IS NULL OR parts > 1000 THEN RETURN NULL; END IF;
      END LOOP;
      RETURN parts;
    END IF;
    sources := sources + (op IN ('path', 'member'))::integer;
    tests := tests + (op NOT IN ('path', 'member'))::integer;
    good := CASE
      WHEN op = 'path' THEN kind = 'string' AND json_pointer_ok(wanted #>> '{}')
      WHEN op = 'member' THEN
        wanted IN ('"event_type"', '"version"', '"organization_id"', '"user_id"')
      WHEN op IN ('eq', 'ne') THEN filter_value_ok(wanted)
      WHEN op IN ('gt', 'gte', 'lt', 'lte') THEN
        kind IN ('string', 'number') AND filter_value_ok(wanted)
      WHEN op = 'prefix' THEN kind = 'string'
      WHEN op = 'exists' THEN kind = 'boolean'
      WHEN op = 'in' THEN kind = 'array' AND wanted <> '[]' END;
    IF good IS NOT TRUE THEN RETURN NULL; END IF;
    IF op = 'in' THEN
      IF EXISTS (SELECT FROM jsonb_array_elements(wanted) v WHERE NOT filter_value_ok(v)) THEN
        RETURN NULL;
      END IF;
      parts := parts + jsonb_array_length(wanted);
    END IF;
  END LOOP;
  RETURN CASE WHEN sources = 1 AND tests > 0 AND parts <= 1000 THEN parts END;
END $$;

ALTER TABLE subscribers
  DROP CONSTRAINT filter_is_not_supported_yet,
  ADD CONSTRAINT filter_is_one_of_docs_filters_md
    CHECK (filter IS NULL OR filter_parts(filter) IS NOT NULL),
  ADD CONSTRAINT filter_is_at_most_16384_bytes CHECK (octet_length(filter::text) <= 16384),
  DROP CONSTRAINT ordering_key_is_organization_id_or_user_id,
  ADD CONSTRAINT ordering_key_is_organization_id_or_user_id_or_a_json_pointer
    CHECK (ordering_key IN ('organization_id', 'user_id')
           OR (json_pointer_ok(ordering_key) AND ordering_key <> '')),
  ADD COLUMN organization_id text  -- only events of this one; NULL: all
    CONSTRAINT organization_id_is_1_to_255_without_control_characters
    CHECK (length(organization_id) BETWEEN 1 AND 255
           AND organization_id !~ '[\u0001-\u001f\u007f-\u009f]');
COMMENT ON COLUMN subscribers.filter IS 'A predicate over payload and envelope: docs/filters.md.';
