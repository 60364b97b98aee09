-- The last known status of a build that has no final one is copied to its list entry, too. An older version of this
-- service stores only the row in `compose_results`: if it does so while this trigger copies an earlier status, the entry
-- keeps that. Therefore the final status is copied again when the status watcher has seen it.

CREATE FUNCTION compose_statuses_tell_list_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    known CONSTANT varchar := CASE WHEN NOT NEW.is_forgotten THEN compose_list_entries_word(NEW.status ->> 'status', 20) END;
BEGIN
    IF NEW.is_final THEN
        UPDATE compose_list_entries entries SET status = compose_list_entries_word(results.status ->> 'status', 20)
        FROM compose_results results
        WHERE entries.job_id = NEW.job_id AND results.job_id = NEW.job_id
          AND entries.status IS DISTINCT FROM compose_list_entries_word(results.status ->> 'status', 20);
    ELSE
        UPDATE compose_list_entries SET status = known
        WHERE job_id = NEW.job_id AND status IS DISTINCT FROM known
          AND NOT EXISTS (SELECT 1 FROM compose_results results WHERE results.job_id = NEW.job_id);
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION compose_statuses_tell_list_entry() SET search_path FROM CURRENT;
CREATE TRIGGER compose_statuses_tell_list_entry AFTER INSERT OR UPDATE OF status, is_forgotten ON compose_statuses
    FOR EACH ROW EXECUTE FUNCTION compose_statuses_tell_list_entry();
