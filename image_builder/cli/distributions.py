"""`image-builder distributions`."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.files.distribution_source import SOURCE_FILE, load_source
from adapters.files.distributions import find_problems
from adapters.files.signing_keys import fetch_keys
from image_builder.cli.options import directory_option
from image_builder.cli.refresh_packages import refresh_packages
from image_builder.cli.refresh_profiles import refresh_profiles
from image_builder.http.contract import CUSTOMIZATIONS, load_checker


@click.group()
def distributions() -> None:
    """Check and update the distribution directory: which distributions can be built, from which repositories."""


@distributions.command()
@directory_option
def check(directory: Path) -> None:
    """Print all errors and warnings about the directory; exit with 1 if the service would not start with it."""
    found = find_problems(directory, load_checker(CUSTOMIZATIONS).accept)
    for problem in found:
        click.echo(f"{problem.level}: {problem}")
    errors = sum(problem.level == "error" for problem in found)
    click.echo(f"{directory}: {errors} errors, {len(found) - errors} warnings")
    if errors:
        raise SystemExit(1)


@distributions.command("fetch-keys")
@directory_option
def fetch(directory: Path) -> None:
    """Download the signing keys of the vendors and write them into the directory, in place of their addresses.

    Each key is compared with its fingerprint in the directory's source.yaml. If one differs, the command names it and
    writes nothing.
    """
    written = fetch_keys(load_source(directory / SOURCE_FILE), directory)
    click.echo(f"{len(written)} files written")


distributions.add_command(refresh_packages)
distributions.add_command(refresh_profiles)
