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
    """Bring the database to the tables this version wants.

    Takes a new database, one of an earlier version, or one that the Go service keeps (tern migration 15), in place and
    while it is in use. Any number may run at once. Needs the PG variables only.
    """
    if logs.is_console():
        applied = apply_migrations(load_database_settings().parameters, log_each=False)
        log.info("the database is up to date", applied=len(applied))
    else:
        applied = apply_migrations(load_database_settings().parameters)
        log.info("the database is up to date", applied=list(applied))
