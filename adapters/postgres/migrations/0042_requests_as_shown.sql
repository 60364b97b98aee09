-- Whether answers show a request exactly as it is stored, so that lists need not search it for what older programs stored:
-- passwords, nulls, users without `hasPassword`, and no `image_requests`. The rule is that of image_builder.http.composes.
-- NULL means unknown, as for builds from before this migration. It is false for a request of more than 16 kB, whose forms
-- migration 0020 stores.

ALTER TABLE composes ADD COLUMN request_as_shown boolean;

CREATE FUNCTION compose_request_as_shown(request jsonb, size integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    as_text text;
    users   jsonb;
BEGIN
    IF size > 16384 OR jsonb_typeof(request) <> 'object' OR NOT request ? 'image_requests' THEN
        RETURN false;
    END IF;
    as_text := request::text;
    IF strpos(as_text, '"password"') > 0 OR strpos(as_text, ': null') > 0 THEN
        RETURN false;
    END IF;
    users := request #> '{customizations,users}';
    IF users IS NULL THEN
        RETURN true;
    ELSIF jsonb_typeof(users) <> 'array' THEN
        RETURN false;
    END IF;
    RETURN NOT EXISTS (
        SELECT 1 FROM jsonb_array_elements(users) each (account)
        WHERE jsonb_typeof(account) <> 'object' OR jsonb_typeof(account -> 'hasPassword') IS DISTINCT FROM 'boolean');
END
$$;

-- The function of 0020, with the new column.
CREATE OR REPLACE FUNCTION composes_keep_request_forms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT size, shown, without_data, summary
    INTO NEW.request_size, NEW.request_shown, NEW.request_without_data, NEW.request_summary
    FROM compose_request_forms(NEW.request);
    NEW.request_as_shown := compose_request_as_shown(NEW.request, NEW.request_size);
    RETURN NEW;
END
$$;
-- As in 0020.
ALTER FUNCTION composes_keep_request_forms() SET search_path FROM CURRENT;
