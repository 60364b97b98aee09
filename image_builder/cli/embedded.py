"""The batteries of the local default: a PostgreSQL and stand-in back-ends, as children of this process."""

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

# The file in the data folder with the address of the running service.
_ADDRESS: Final = "address"
_IDENTITY: Final = {
    "identity": {
        "org_id": "000001",
        "account_number": "000001",
        "type": "User",
        "user": {"username": "you", "email": "you@example.com"},
    },
    "entitlements": {"rhel": {"is_entitled": True}},
}

# What operators set, and the stand-ins do not care about.
_ANY: Final = {
    "OSBUILD_AWS_REGION": "us-east-1",
    "OSBUILD_GCP_REGION": "us-east1",
    "OSBUILD_GCP_BUCKET": "stand-in-bucket",
    "RECOMMENDATIONS_CLIENT_ID": "image-builder",
    "RECOMMENDATIONS_CLIENT_SECRET": "stand-in",
    # No load balancer has to notice.
    "SHUTDOWN_GRACE": "0",
}


def identity_header() -> str:
    """A value of x-rh-identity that may build everything unrestricted."""
    return base64.b64encode(orjson.dumps(_IDENTITY)).decode()


def write_address(data: Path, url: str) -> None:
    """Keep the address of the service in the data folder, where `find_address` finds it."""
    replace_file(data / _ADDRESS, url.encode())


def find_address(data: Path) -> str | None:
    """The address of the service that uses the data folder, if one does; after a crash, of the last one."""
    try:
        return (data / _ADDRESS).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


@contextmanager
def surroundings(data: Path, check: Callable[[], None]) -> Iterator[None]:
    """Start what the service needs, put it into the environment, and end it in order at the end.

    Everything is kept in the folder `data` and taken up again by the next start. `check` is called between the steps;
    what it raises ends the start.
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
            for name, value in _ANY.items():
                os.environ.setdefault(name, value)
            applied = migrate(load_database_settings().parameters, log_each=not logs.is_console())
            if applied and logs.is_console():
                click.echo(f"Migrated the database: {len(applied)} migrations.")
            try:
                yield
            finally:
                _say("Ending the stand-ins, then PostgreSQL ...")
                (data / _ADDRESS).unlink(missing_ok=True)
    _say("Ended.")


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal was closed
        click.echo(text)
