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
from image_builder.http.contract import CUSTOMIZATIONS, checker_of


@click.group()
def distributions() -> None:
    """Look after the distribution directory: what can be built, and from which repositories."""


@distributions.command()
@directory_option
def check(directory: Path) -> None:
    """Say all that is wrong with the directory at once; exit status 1 if the service would not start with it."""
    found = find_problems(directory, checker_of(CUSTOMIZATIONS).accept)
    for problem in found:
        click.echo(f"{problem.level}: {problem}")
    errors = sum(problem.level == "error" for problem in found)
    click.echo(f"{directory}: {errors} errors, {len(found) - errors} warnings")
    if errors:
        raise SystemExit(1)


@distributions.command("fetch-keys")
@directory_option
def fetch(directory: Path) -> None:
    """Put the vendors' signing keys into the directory, in place of their addresses.

    Each key is checked against its fingerprint in the directory's source.yaml. A wrong one is refused by name, and
    then nothing is written.
    """
    written = fetch_keys(load_source(directory / SOURCE_FILE), directory)
    click.echo(f"{len(written)} files written")


distributions.add_command(refresh_packages)
distributions.add_command(refresh_profiles)
