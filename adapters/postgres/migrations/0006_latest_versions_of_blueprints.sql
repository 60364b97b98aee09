-- Columns by which lists of blueprints are ordered and searched, set by triggers as in 0005: the latest version and its
-- time, and name and description in lower case. ILIKE would convert the texts of each row in every search.

ALTER TABLE blueprints
    ADD COLUMN latest_version integer,
    ADD COLUMN changed_at timestamp,
    ADD COLUMN lower_name text,
    ADD COLUMN lower_description text;

CREATE FUNCTION blueprints_keep_lower() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lower_name := lower(NEW.name);
    NEW.lower_description := lower(NEW.description);
    RETURN NEW;
END
$$;
CREATE TRIGGER blueprints_keep_lower BEFORE INSERT OR UPDATE OF name, description ON blueprints
    FOR EACH ROW EXECUTE FUNCTION blueprints_keep_lower();
