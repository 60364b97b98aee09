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
from image_builder.http.contract import CUSTOMIZATIONS, checker_of

# As the SCAP Security Guide names its datastreams.
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
@click.option("--keep-missing", is_flag=True, help="Leave profiles as they are that the datastream does not have.")
@click.option("--add-new", is_flag=True, help="Add the profiles that a distribution does not have yet.")
@click.argument("arguments", nargs=-1, metavar="[FILE]... [NAME]...")
def refresh_profiles(
    directory: Path, datastreams: tuple[Path, ...], keep_missing: bool, add_new: bool, arguments: tuple[str, ...]
) -> None:
    """Write the OpenSCAP profiles of the distributions NAME anew, from SCAP source datastreams.

    Name, description, packages, services, mount points and kernel arguments of a profile are replaced; what else its
    customizations.json holds stays. ssg-PRODUCT-ds.xml is for the distributions whose oscap_name is PRODUCT; a single
    file of whatever name is for all that are named. Without NAME: of all that have profiles. One that has none gets all
    of the datastream.

    A distribution's profiles are replaced together, or left as they were when the datastream is damaged or lacks one of
    them; the others go on, and the exit status is 1.
    """
    files = [*datastreams, *(Path(each) for each in arguments if _XML.fullmatch(each))]
    names = [each for each in arguments if not _XML.fullmatch(each)]
    report = _Report()
    for file, distributions in _assigned(directory, files, names, report).items():
        _refresh(directory, file, distributions, report, keep_missing=keep_missing, add_new=add_new)
    if report.failures:
        raise SystemExit(1)


@dataclass(slots=True)
class _Report:
    """What failed and what else is worth knowing goes to standard error."""

    failures: int = field(default=0)

    def failure(self, text: str) -> None:
        self.failures += 1
        click.echo(f"Error: {text}", err=True)


def _assigned(
    directory: Path, files: Sequence[Path], names: Sequence[str], report: _Report
) -> Mapping[Path, list[Distribution]]:
    """The distributions that each file is for."""
    assigned: dict[Path, list[Distribution]] = {file: [] for file in files}
    by_product = {match["product"]: file for file in files if (match := _FILE_NAME.fullmatch(file.name))}
    for distribution in list(_chosen(directory, names, report)):
        file = files[0] if names and len(assigned) == 1 else by_product.get(distribution.oscap_name or "")
        if file is not None:
            assigned[file].append(distribution)
        elif names:
            report.failure(
                f"{distribution.name}: no datastream is for it, whose oscap_name is {distribution.oscap_name}"
            )
    for file, distributions in assigned.items():
        if not distributions and not report.failures:
            report.failure(
                f"{file}: is for no distribution of {directory} that has profiles, by oscap_name; name distributions"
            )
    return {file: distributions for file, distributions in assigned.items() if distributions}


def _chosen(directory: Path, names: Sequence[str], report: _Report) -> Iterator[Distribution]:
    """Those named, or all that have profiles; one that has several names once."""
    distributions = load_distributions(directory)
    if not names:
        yield from (each for each in distributions_by_folder(directory, distributions).values() if each.profiles)
        return
    seen = set()
    for name in names:
        distribution = distributions.get(name)
        if distribution is None:
            report.failure(f"{name}: there is no such distribution in {directory}")
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
    """Write the profiles of the distributions anew, or report why they stay as they are."""
    try:
        benchmarks = read_datastream(file)
    except ConfigurationError as error:
        report.failure(f"{printable(error.detail)}; profiles are left as they were")
        return
    accept = checker_of(CUSTOMIZATIONS).accept
    refresh = ProfileRefresh(tuple(map(ProfileReader, benchmarks)), accept, keep_missing, add_new)
    for distribution in distributions:
        try:
            done = refresh.refresh_folder(follow_alias(directory / distribution.name).resolve())
        except (ConfigurationError, UnavailableError) as error:
            report.failure(
                f"{distribution.name}: {printable(error.detail)} ({file}); its profiles are left as they were"
            )
            continue
        if done.skipped:
            click.echo(f"{distribution.name}: not in {file}, left alone: {', '.join(done.skipped)}", err=True)
        click.echo(f"{distribution.name}: {done.written} profiles written")
    if refresh.ignored:
        click.echo(f"{file}: not taken over: {printable(', '.join(refresh.ignored))}", err=True)
