-- The function names a table, and must find it whatever the search_path of the session is: that of pg_restore is empty.
ALTER FUNCTION blueprint_versions_tell_blueprint() SET search_path FROM CURRENT;
