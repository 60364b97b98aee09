-- How large a request is, in bytes, and forms of a large one that are answered without work: as it is shown, where it is
-- stored otherwise; and where a page would be too large, without the contents of its files, or a summary of at most
-- 16 kB. Kept by a trigger as in 0005.

ALTER TABLE composes
    ADD COLUMN request_size integer,
    ADD COLUMN request_shown text,
    ADD COLUMN request_without_data text,
    ADD COLUMN request_summary text;

-- A request as it is shown, NULL where it is stored like that: the rule of domain.compose.passwords.present_request, so that the
-- service need not parse a large request. `as_text` is the request as text.
CREATE FUNCTION compose_request_shown(request jsonb, as_text text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    shown jsonb;
    users jsonb;
BEGIN
    IF jsonb_typeof(request) <> 'object' THEN
        RETURN '{}';
    END IF;
    shown := CASE WHEN strpos(as_text, '": null') > 0 THEN jsonb_strip_nulls(request) ELSE request END;
    IF jsonb_typeof(shown -> 'customizations') = 'object' THEN
        users := shown #> '{customizations,users}';
    END IF;
    IF jsonb_typeof(users) <> 'array' THEN
        RETURN shown #- '{customizations,users}';
    ELSIF EXISTS (
        SELECT 1 FROM jsonb_array_elements(users) each (account)
        WHERE jsonb_typeof(account) <> 'object' OR account ? 'password'
           OR jsonb_typeof(account -> 'hasPassword') IS DISTINCT FROM 'boolean'
    ) THEN
        RETURN jsonb_set(shown, '{customizations,users}', COALESCE((
            SELECT jsonb_agg(account - 'password' || CASE
                    WHEN CASE WHEN account ? 'password'
                         THEN account -> 'password' NOT IN ('""', 'false', '0', '[]', '{}')
                         ELSE account -> 'hasPassword' = 'true' END
                    THEN '{"hasPassword": true}'::jsonb ELSE '{"hasPassword": false}'::jsonb
                END ORDER BY number)
            FROM jsonb_array_elements(users) WITH ORDINALITY each (account, number)
            WHERE jsonb_typeof(account) = 'object'), '[]'));
    END IF;
    RETURN NULLIF(shown, request);
END
$$;

-- The size of a request as it is stored or, if that is larger, as it is shown; and the forms of a large one. `shown` is
-- NULL where it is stored as it is shown. `without_data` lacks the contents of files;
-- it is NULL where that makes the request no smaller, or where there are too many files to go through. `summary` is
-- NULL where `without_data` is small enough. It lacks customizations, the largest first, and at the end all that is
-- large. A request that PostgreSQL cannot write as text is as large as can be.
CREATE FUNCTION compose_request_forms(
    request jsonb, OUT size integer, OUT shown text, OUT without_data text, OUT summary text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    largest CONSTANT integer := 16384;
    form      jsonb;
    as_text   text;
    files     jsonb;
    image     jsonb;
    part      record;
    remaining integer;
    left_out  text[] := '{}';
BEGIN
    as_text := request::text;
    size := octet_length(as_text);
    IF size <= largest THEN
        RETURN;
    END IF;
    form := compose_request_shown(request, as_text);
    shown := form::text;
    size := GREATEST(size, octet_length(shown));
    form := COALESCE(form, request);
    remaining := size;
    files := form #> '{customizations,files}';
    IF jsonb_typeof(files) = 'array' AND jsonb_array_length(files) BETWEEN 1 AND 10000 THEN
        form := jsonb_set(form, '{customizations,files}', (
            SELECT jsonb_agg(CASE WHEN jsonb_typeof(file) = 'object' THEN file - 'data' ELSE file END ORDER BY number)
            FROM jsonb_array_elements(files) WITH ORDINALITY each (file, number)));
        as_text := form::text;
        remaining := octet_length(as_text);
        IF remaining < size THEN
            without_data := as_text;
        END IF;
        IF remaining <= largest THEN
            RETURN;
        END IF;
    END IF;
    IF jsonb_typeof(form -> 'customizations') = 'object' THEN
        FOR part IN
            SELECT key, octet_length(value::text) AS size FROM jsonb_each(form -> 'customizations') ORDER BY 2 DESC, 1
        LOOP
            left_out := left_out || part.key;
            remaining := remaining - part.size;
            EXIT WHEN remaining <= largest;
        END LOOP;
        form := jsonb_set(form, '{customizations}', (form -> 'customizations') - left_out);
    END IF;
    IF remaining > largest THEN
        image := form #> '{image_requests,0}';
        form := COALESCE((
            SELECT jsonb_object_agg(key, value) FROM jsonb_each(form) WHERE octet_length(value::text) <= 1024), '{}');
        IF NOT form ? 'image_requests' AND jsonb_typeof(image) = 'object' THEN
            form := form || jsonb_build_object('image_requests', jsonb_build_array(COALESCE((
                SELECT jsonb_object_agg(key, CASE
                    WHEN octet_length(value::text) <= 1024 THEN value
                    ELSE jsonb_strip_nulls(jsonb_build_object('type', left(value ->> 'type', 100), 'options', '{}'::jsonb))
                END)
                FROM jsonb_each(image)
                WHERE octet_length(value::text) <= 1024 OR key = 'upload_request'), '{}')));
        END IF;
    END IF;
    summary := form::text;
    IF octet_length(summary) > largest THEN
        summary := '{}';
    END IF;
EXCEPTION WHEN others THEN
    size := 2147483647;
    shown := NULL;
    without_data := NULL;
    summary := '{}';
END
$$;

CREATE FUNCTION composes_keep_request_forms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT size, shown, without_data, summary
    INTO NEW.request_size, NEW.request_shown, NEW.request_without_data, NEW.request_summary
    FROM compose_request_forms(NEW.request);
    RETURN NEW;
END
$$;
CREATE TRIGGER composes_keep_request_forms BEFORE INSERT OR UPDATE OF request ON composes
    FOR EACH ROW EXECUTE FUNCTION composes_keep_request_forms();

-- They find each other whatever the session's path is (0018).
ALTER FUNCTION compose_request_forms(jsonb) SET search_path FROM CURRENT;
ALTER FUNCTION composes_keep_request_forms() SET search_path FROM CURRENT;
