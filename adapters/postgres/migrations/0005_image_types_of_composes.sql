-- A column for the image type of a request, by which lists of builds are filtered: an index can include it, so that
-- lists and counts read only the index. A trigger sets it, because older programs write to the same table and do not
-- know it.

ALTER TABLE composes ADD COLUMN image_type varchar(100);

CREATE FUNCTION composes_keep_image_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.image_type := left(COALESCE(NEW.request #>> '{image_requests,0,image_type}', ''), 100);
    RETURN NEW;
END
$$;
CREATE TRIGGER composes_keep_image_type BEFORE INSERT OR UPDATE OF request ON composes
    FOR EACH ROW EXECUTE FUNCTION composes_keep_image_type();
