-- What lists of builds ask of a request, in a column of its own: an index can hold it, so that lists and counts read
-- nothing else. A trigger keeps it, since older programs, which know nothing of it, write beside this one.

ALTER TABLE composes ADD COLUMN image_type varchar(100);

CREATE FUNCTION composes_keep_image_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.image_type := left(COALESCE(NEW.request #>> '{image_requests,0,image_type}', ''), 100);
    RETURN NEW;
END
$$;
CREATE TRIGGER composes_keep_image_type BEFORE INSERT OR UPDATE OF request ON composes
    FOR EACH ROW EXECUTE FUNCTION composes_keep_image_type();
