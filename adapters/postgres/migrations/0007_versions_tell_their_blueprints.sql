-- A trigger that copies the latest version to its blueprint. A separate file, so that no two tables are locked at once.

CREATE FUNCTION blueprint_versions_tell_blueprint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE blueprints SET latest_version = NEW.version, changed_at = NEW.created_at
    WHERE id = NEW.blueprint_id AND (latest_version IS NULL OR latest_version <= NEW.version);
    RETURN NULL;
END
$$;
CREATE TRIGGER blueprint_versions_tell_blueprint AFTER INSERT OR UPDATE OF version, created_at ON blueprint_versions
    FOR EACH ROW EXECUTE FUNCTION blueprint_versions_tell_blueprint();
