"""Starts what `serve --embedded` needs as child processes: a PostgreSQL server and stand-ins of the back-ends."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import click
import orjson

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.private_files import replace_file
from adapters.postgres.migrate import migrate
from image_builder.configuration.settings import load_database_settings
from image_builder.telemetry import logs

# The name of the file in the data folder with the address of the running service.
_ADDRESS_FILE: Final = "address"
_IDENTITY: Final = {
    "identity": {
        "org_id": "000001",
        "account_number": "000001",
        "type": "User",
        "user": {"username": "you", "email": "you@example.com"},
    },
    "entitlements": {"rhel": {"is_entitled": True}},
}

# Required settings whose values do not matter to the stand-ins.
_SETTINGS: Final = {
    "OSBUILD_AWS_REGION": "us-east-1",
    "OSBUILD_GCP_REGION": "us-east1",
    "OSBUILD_GCP_BUCKET": "stand-in-bucket",
    "RECOMMENDATIONS_CLIENT_ID": "image-builder",
    "RECOMMENDATIONS_CLIENT_SECRET": "stand-in",
    # There is no load balancer that has to notice the end.
    "SHUTDOWN_GRACE": "0",
}


def identity_header() -> str:
    """A value of the x-rh-identity header of a user who may use every distribution."""
    return base64.b64encode(orjson.dumps(_IDENTITY)).decode()


def write_address(data: Path, url: str) -> None:
    """Write the address of the service to the data folder, for `find_address`. Raises OSError."""
    replace_file(data / _ADDRESS_FILE, url.encode())


def find_address(data: Path) -> str | None:
    """The address of the service that uses the data folder, None if there is none; after a crash, the previous one."""
    try:
        return (data / _ADDRESS_FILE).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


@contextmanager
def embedded_services(data: Path, check: Callable[[], None]) -> Iterator[None]:
    """Start PostgreSQL and the stand-ins, set the environment variables of the service, and end all at the end.

    All data is stored in the folder `data`, and the next start continues with it. `check` is called between the steps;
    an exception from it ends the start. Raises ConfigurationError if PostgreSQL cannot start or be migrated, and
    RuntimeError if a stand-in does not start.
    """
    click.echo(f"Starting PostgreSQL in {data / 'postgres'} ...")
    with EmbeddedPostgres(data / "postgres", max_connections=200) as postgres:
        check()
        parameters = postgres.connection_parameters()
        with ExitStack() as stand_ins:
            platform = stand_ins.enter_context(StandInPlatform(data / "stand-in-platform.json"))
            check()
            composer = stand_ins.enter_context(StandInComposer(data / "stand-in-composer.sqlite"))
            check()
            click.echo(
                f"Started a stand-in composer at {composer.url}: it builds nothing, but answers like the real one.\n"
                f"Started stand-ins of content sources, provisioning, compliance and recommendations at {platform.url}."
            )
            os.environ.update(
                PGHOST=parameters["host"],
                PGPORT=str(parameters["port"]),
                PGUSER=parameters["user"],
                PGPASSWORD=parameters["password"],
                PGDATABASE=parameters["dbname"],
                PGSSLMODE="disable",
                COMPOSER_URL=composer.url,
                CONTENT_SOURCES_URL=platform.content_sources_url,
                CONTENT_SOURCES_REPO_URL=platform.url,
                CONTENT_SOURCES_REPO_PREFIX="/snapshots",
                PROVISIONING_URL=platform.provisioning_url,
                COMPLIANCE_URL=platform.compliance_url,
                RECOMMENDATIONS_URL=platform.recommendations_url,
                RECOMMENDATIONS_TOKEN_URL=platform.token_url,
            )
            for name, value in _SETTINGS.items():
                os.environ.setdefault(name, value)
            applied = migrate(load_database_settings().parameters, log_each=not logs.is_console())
            if applied and logs.is_console():
                click.echo(f"Migrated the database: {len(applied)} migrations.")
            try:
                yield
            finally:
                _print("Ending the stand-ins, then PostgreSQL ...")
                (data / _ADDRESS_FILE).unlink(missing_ok=True)
    _print("Ended.")


def _print(text: str) -> None:
    with suppress(OSError):  # the terminal was closed
        click.echo(text)
