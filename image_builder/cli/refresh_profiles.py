"""`image-builder distributions refresh-profiles`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from adapters.files.aliases import follow_alias
from adapters.files.distributions import load_distributions
from adapters.files.package_list_files import distributions_by_folder
from adapters.repodata.text import printable
from adapters.scap.customizations import ProfileReader
from adapters.scap.datastream import read_datastream
from adapters.scap.refresh import ProfileRefresh
from domain.distributions import Distribution
from domain.errors import ConfigurationError, UnavailableError
from image_builder.cli.options import directory_option
from image_builder.http.contract import CUSTOMIZATIONS, load_checker

# The names of datastreams in the SCAP Security Guide.
_FILE_NAME: Final = re.compile(r"ssg-(?P<product>.+?)-ds(-[0-9.]+)?\.xml(\.[a-z0-9]+)?")
_XML: Final = re.compile(r".*(/|\.xml(\.[a-z0-9]+)?\Z)", re.DOTALL)


@click.command("refresh-profiles")
@directory_option
@click.option(
    "--datastream",
    "datastreams",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="A SCAP source datastream, such as ssg-rhel9-ds.xml; may be repeated.",
)
@click.option(
    "--keep-missing",
    is_flag=True,
    help="Do not change profiles that are missing from the datastream, instead of failing.",
)
@click.option("--add-new", is_flag=True, help="Add profiles that a distribution does not have yet.")
@click.argument("arguments", nargs=-1, metavar="[FILE]... [NAME]...")
def refresh_profiles(
    directory: Path, datastreams: tuple[Path, ...], keep_missing: bool, add_new: bool, arguments: tuple[str, ...]
) -> None:
    """Update the OpenSCAP profiles of the distributions NAME from SCAP source datastreams.

    The command replaces name, description, packages, services, mount points and kernel arguments of each profile, and
    keeps all other keys of its customizations.json. The datastream ssg-PRODUCT-ds.xml applies to the distributions with
    the oscap_name PRODUCT. If there is only one datastream and distributions are named, it applies to all of them,
    whatever its file name. Without NAME, the command updates all distributions that have profiles. A named distribution
    without profiles gets all profiles of the datastream.

    If the datastream is damaged or lacks a profile of a distribution, all profiles of this distribution stay unchanged,
    the command continues with the other distributions, and the exit status is 1.
    """
    files = [*datastreams, *(Path(each) for each in arguments if _XML.fullmatch(each))]
    names = [each for each in arguments if not _XML.fullmatch(each)]
    report = _Report()
    for file, distributions in _assign_datastreams(directory, files, names, report).items():
        _refresh(directory, file, distributions, report, keep_missing=keep_missing, add_new=add_new)
    if report.failures:
        raise SystemExit(1)


@dataclass(slots=True)
class _Report:
    """Prints errors on standard error and counts them."""

    failures: int = field(default=0)

    def failure(self, text: str) -> None:
        self.failures += 1
        click.echo(f"Error: {text}", err=True)


def _assign_datastreams(
    directory: Path, files: Sequence[Path], names: Sequence[str], report: _Report
) -> Mapping[Path, list[Distribution]]:
    """The distributions to which each datastream applies."""
    assigned: dict[Path, list[Distribution]] = {file: [] for file in files}
    by_product = {match["product"]: file for file in files if (match := _FILE_NAME.fullmatch(file.name))}
    for distribution in list(_chosen(directory, names, report)):
        file = files[0] if names and len(assigned) == 1 else by_product.get(distribution.oscap_name or "")
        if file is not None:
            assigned[file].append(distribution)
        elif names:
            report.failure(f"{distribution.name}: no datastream applies to its oscap_name {distribution.oscap_name}")
    for file, distributions in assigned.items():
        if not distributions and not report.failures:
            report.failure(
                f"{file}: no distribution with profiles in {directory} has its oscap_name; name the distributions"
            )
    return {file: distributions for file, distributions in assigned.items() if distributions}


def _chosen(directory: Path, names: Sequence[str], report: _Report) -> Iterator[Distribution]:
    """The named distributions, or all that have profiles; a distribution with several names occurs once."""
    distributions = load_distributions(directory)
    if not names:
        yield from (each for each in distributions_by_folder(directory, distributions).values() if each.profiles)
        return
    seen = set()
    for name in names:
        distribution = distributions.get(name)
        if distribution is None:
            report.failure(f"{name}: no such distribution in {directory}")
            continue
        folder = follow_alias(directory / name).resolve()
        if folder not in seen:
            seen.add(folder)
            yield distribution


def _refresh(
    directory: Path,
    file: Path,
    distributions: Sequence[Distribution],
    report: _Report,
    *,
    keep_missing: bool,
    add_new: bool,
) -> None:
    """Update the profiles of the distributions, or report why they stay unchanged."""
    try:
        benchmarks = read_datastream(file)
    except ConfigurationError as error:
        report.failure(f"{printable(error.detail)}; profiles are unchanged")
        return
    accept = load_checker(CUSTOMIZATIONS).accept
    refresh = ProfileRefresh(tuple(map(ProfileReader, benchmarks)), accept, keep_missing, add_new)
    for distribution in distributions:
        try:
            done = refresh.refresh_folder(follow_alias(directory / distribution.name).resolve())
        except (ConfigurationError, UnavailableError) as error:
            report.failure(f"{distribution.name}: {printable(error.detail)} ({file}); its profiles are unchanged")
            continue
        if done.skipped:
            click.echo(f"{distribution.name}: not in {file}, unchanged: {', '.join(done.skipped)}", err=True)
        click.echo(f"{distribution.name}: {done.written} profiles written")
    if refresh.ignored:
        click.echo(f"{file}: ignored: {printable(', '.join(refresh.ignored))}", err=True)
