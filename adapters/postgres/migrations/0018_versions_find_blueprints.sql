-- The one of our functions that names a table finds it whatever the session's path is: pg_restore's is empty.
ALTER FUNCTION blueprint_versions_tell_blueprint() SET search_path FROM CURRENT;
