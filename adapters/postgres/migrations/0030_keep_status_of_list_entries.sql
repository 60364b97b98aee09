-- The final status of a build is copied to its list entry. A separate file, so that no two tables are locked at once.

CREATE FUNCTION compose_results_tell_list_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE compose_list_entries SET status = compose_list_entries_word(NEW.status ->> 'status', 20) WHERE job_id = NEW.job_id;
    RETURN NULL;
END
$$;
ALTER FUNCTION compose_results_tell_list_entry() SET search_path FROM CURRENT;
CREATE TRIGGER compose_results_tell_list_entry AFTER INSERT OR UPDATE OF status ON compose_results
    FOR EACH ROW EXECUTE FUNCTION compose_results_tell_list_entry();
