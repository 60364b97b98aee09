#!/bin/sh
# A new database with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB; arguments go to the server. Nothing lasts.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
user=${POSTGRES_USER:-postgres}
export PGDATA=/tmp/data
umask 077
printf '%s\n' "${POSTGRES_PASSWORD:?}" > /tmp/password
initdb --username="$user" --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
rm /tmp/password
echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
echo "CREATE DATABASE \"${POSTGRES_DB:-$user}\";" | postgres --single -j -c fsync=off postgres >/dev/null
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
