#!/bin/sh
# Sets the passwords of the roles of roles.sql from the environment. The entry point of a PostgreSQL image runs this file
# after roles.sql.
set -eu
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" \
    -v owner="$OWNER_PASSWORD" -v app="$APP_PASSWORD" -v maintenance="$MAINTENANCE_PASSWORD" <<'SQL'
ALTER ROLE image_builder_owner PASSWORD :'owner';
ALTER ROLE image_builder_app PASSWORD :'app';
ALTER ROLE image_builder_maintenance PASSWORD :'maintenance';
SQL
