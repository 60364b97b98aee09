"""`image-builder migrate`."""

from __future__ import annotations

import click
import structlog

from adapters.postgres.migrate import migrate as apply_migrations
from image_builder.configuration.settings import load_database_settings
from image_builder.telemetry import logs

log = structlog.get_logger()


@click.command()
def migrate() -> None:
    """Migrate the database to the schema of this version.

    The database may be new, of an earlier version, or of the Go service (at tern migration 15). It is migrated in
    place, and the service may run at the same time. Concurrent runs do no harm. Only the PG variables are needed.
    """
    if logs.is_console():
        applied = apply_migrations(load_database_settings().parameters, log_each=False)
        log.info("the database is up to date", applied=len(applied))
    else:
        applied = apply_migrations(load_database_settings().parameters)
        log.info("the database is up to date", applied=list(applied))
