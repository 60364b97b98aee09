"""`image-builder maintenance`."""

from __future__ import annotations

import signal
from typing import Final

import click
import structlog

from adapters.postgres.maintenance import open_maintenance
from image_builder.configuration.settings import load_maintenance_settings
from image_builder.usecases.maintenance import TimeBudget, maintain
from ports.maintenance import MaintenanceRunningError

# A run ends after this time, and the next run continues with the remaining rows.
_MAX_SECONDS: Final = 2 * 60 * 60

log = structlog.get_logger()


@click.command()
def maintenance() -> None:
    """Delete composes that are too old, and passwords that older programs stored in composes.

    It does nothing unless ENABLE_DB_MAINTENANCE is true, and only counts unless DRY_RUN is false. Composes older than
    DB_COMPOSES_RETENTION_MONTHS (24) are deleted, blueprints never. It works in small batches while the service runs,
    and ends after the current batch on SIGTERM, Ctrl-C, or after two hours. It reads the PG variables, too.
    """
    settings = load_maintenance_settings()
    if not settings.enabled:
        log.info("maintenance disabled: ENABLE_DB_MAINTENANCE is not true")
        return
    budget = TimeBudget(_MAX_SECONDS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: budget.end())
    try:
        with open_maintenance(settings.database.parameters, settings.retention_months) as run:
            maintain(run, budget, dry_run=settings.dry_run)
    except MaintenanceRunningError as error:
        log.warning("maintenance skipped", reason=error.detail)
