#!/bin/sh
# The passwords of the roles in roles.sql, from the environment; the entry point of a PostgreSQL image runs it after that.
set -eu
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" \
    -v owner="$OWNER_PASSWORD" -v app="$APP_PASSWORD" -v maintenance="$MAINTENANCE_PASSWORD" <<'SQL'
ALTER ROLE image_builder_owner PASSWORD :'owner';
ALTER ROLE image_builder_app PASSWORD :'app';
ALTER ROLE image_builder_maintenance PASSWORD :'maintenance';
SQL
