-- The size of a request in bytes, and stored forms of a large one that can be answered without being parsed:
-- `request_shown`, if it differs from the stored request; and for pages that would be too large, `request_without_data`
-- (without the contents of its files) and `request_summary` (at most 16 kB). A trigger sets them, as in 0005.

ALTER TABLE composes
    ADD COLUMN request_size integer,
    ADD COLUMN request_shown text,
    ADD COLUMN request_without_data text,
    ADD COLUMN request_summary text;

-- A request as it is shown, by the same rule as domain.compose.passwords.present_request; NULL if that equals the stored
-- request. With it the service need not parse a large request. `as_text` is the request as text.
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

-- `size` is the size of a request as stored or, if that is larger, as shown; the forms are those of a large request.
-- `shown` is NULL if it equals the stored request. `without_data` lacks the contents of files; it is NULL if it would
-- not be smaller, or if there are too many files. `summary` is NULL if `without_data` is small enough. It lacks
-- customizations, the largest first, and then all other large values. A request that PostgreSQL cannot convert to text
-- gets the largest possible size.
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

-- The functions must find each other whatever the search_path of the session is, as in 0018.
ALTER FUNCTION compose_request_forms(jsonb) SET search_path FROM CURRENT;
ALTER FUNCTION composes_keep_request_forms() SET search_path FROM CURRENT;
