"""`image-builder maintenance`."""

from __future__ import annotations

import signal
from typing import Final

import click
import structlog

from adapters.postgres.maintenance import upkeep
from image_builder.configuration.settings import load_maintenance_settings
from image_builder.usecases.maintenance import Shift, maintain
from ports.maintenance import MaintainedAlreadyError

# Seconds; what is left then is the next run's.
_LONGEST: Final = 2 * 60 * 60

log = structlog.get_logger()


@click.command()
def maintenance() -> None:
    """Remove composes that are too old, and passwords that older programs kept in composes.

    Does nothing unless ENABLE_DB_MAINTENANCE is true, and only counts unless DRY_RUN is false. Composes are kept for
    DB_COMPOSES_RETENTION_MONTHS (24), blueprints for ever. It works in small batches beside the running service, and
    ends after the batch at hand on SIGTERM, Ctrl-C, or after two hours. Needs the PG variables besides.
    """
    settings = load_maintenance_settings()
    if not settings.enabled:
        log.info("maintenance is off: ENABLE_DB_MAINTENANCE is not true")
        return
    shift = Shift(_LONGEST)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shift.end())
    try:
        with upkeep(settings.database.parameters, settings.retention_months) as ours:
            maintain(ours, shift, dry_run=settings.dry_run)
    except MaintainedAlreadyError as error:
        log.warning("maintenance ended: nothing done", reason=error.detail)
