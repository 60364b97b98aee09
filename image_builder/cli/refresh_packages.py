"""`image-builder distributions refresh-packages`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from adapters.files.aliases import follow_alias
from adapters.files.distributions import load_distributions
from adapters.files.file_transaction import FileTransaction
from adapters.files.package_list_files import package_list_path
from adapters.repodata.download import ClientCertificate, Downloads
from adapters.repodata.lists import format_package_list, has_packages
from adapters.repodata.repository import repository_packages
from domain.distributions import Distribution, Repository
from domain.errors import ConfigurationError, UnavailableError
from image_builder.cli.options import directory_option

_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_NO_CERTIFICATE: Final = "skipped: it requires a client certificate (--client-cert); its list is unchanged"


@click.command("refresh-packages")
@directory_option
@click.option("--client-cert", type=_FILE, help="Certificate of a subscribed machine, for RHEL repositories.")
@click.option("--client-key", type=_FILE, help="The key of the certificate, if it is in a separate file.")
@click.option(
    "--ca", type=_FILE, help="The certificate authorities to trust for RHEL repositories, instead of the usual ones."
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=600,
    show_default=True,
    help="Time limit for each repository, in seconds.",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def refresh_packages(
    directory: Path,
    client_cert: Path | None,
    client_key: Path | None,
    ca: Path | None,
    timeout: float,
    names: tuple[str, ...],
) -> None:
    """Update the package lists of the distributions NAME from the current metadata of their repositories.

    Without NAME, it updates all distributions that have repositories. If a repository of a distribution fails or has
    become empty, all lists of this distribution stay unchanged, the command continues with the other distributions,
    and the exit status is 1. RHEL repositories are skipped without a client certificate. The command verifies
    checksums of the metadata, but not signatures.
    """
    if client_cert is None and (client_key or ca):
        raise click.UsageError("--client-key and --ca require --client-cert")
    certificate = ClientCertificate(client_cert, client_key, ca) if client_cert else None
    if certificate:
        certificate.check()
    with _Report() as report:
        refresh = _Refresh(directory, certificate, timeout, report)
        for distribution in list(_chosen(directory, names, report)):
            refresh.refresh_distribution(distribution)
    if report.failures:
        raise SystemExit(1)


def _chosen(directory: Path, names: tuple[str, ...], report: _Report) -> Iterator[Distribution]:
    """The named distributions, or all; a distribution with several names occurs once."""
    distributions = load_distributions(directory)
    seen = set()
    for name in names or sorted(distributions):
        distribution = distributions.get(name)
        if distribution is None:
            report.failure(f"{name}: no such distribution in {directory}")
            continue
        folder = follow_alias(directory / name).resolve()
        if folder in seen:
            continue
        seen.add(folder)
        if any(a.repositories for a in distribution.architectures.values()):
            yield distribution
        elif names:
            report.failure(f"{name}: the distribution has no repositories")


@dataclass(frozen=True, slots=True)
class _Refresh:
    directory: Path
    certificate: ClientCertificate | None
    timeout: float
    report: _Report

    def refresh_distribution(self, distribution: Distribution) -> None:
        """Update the lists of a distribution, or report why they stay unchanged."""
        try:
            with FileTransaction(follow_alias(self.directory / distribution.name)) as lists:
                for architecture in distribution.architectures.values():
                    for repository in architecture.repositories:
                        self._refresh_repository(distribution, architecture.name, repository, lists)
                written = lists.commit()
        except UnavailableError as error:
            self.report.failure(f"{error.detail}; the lists of the distribution are unchanged")
        except ConfigurationError as error:
            self.report.failure(f"{distribution.name}: {error.detail}")
        else:
            self.report.result(f"{distribution.name}: {written} package lists written")

    def _refresh_repository(
        self, distribution: Distribution, architecture: str, repository: Repository, lists: FileTransaction
    ) -> None:
        title = f"{distribution.name} {architecture} {repository.id}"
        if repository.rhsm and self.certificate is None:
            self.report.line(f"{title}: {_NO_CERTIFICATE}")
            return
        with Downloads(self.certificate if repository.rhsm else None) as downloads, self.report.bar(title) as bar:
            try:
                packages = repository_packages(repository, architecture, downloads, self.timeout, bar)
            except UnavailableError as error:
                raise UnavailableError(f"{title}: {error.detail}") from error
        path = package_list_path(self.directory, distribution, architecture, repository)
        if not packages and has_packages(path):
            raise UnavailableError(f"{title}: the repository has no packages, but the current list has some")
        lists.add(path, format_package_list(packages))
        self.report.line(f"{title}: {len(packages)} packages")


class _Report:
    """Prints progress and errors on standard error, with progress bars on a terminal; results on standard output."""

    def __init__(self) -> None:
        self.failures = 0
        self._on_terminal = sys.stderr.isatty()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[step]:<11}"),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not self._on_terminal)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def bar(self, title: str) -> _Bar:
        """A progress bar for one repository, which disappears at the end."""
        return _Bar(self._progress, title)

    def failure(self, text: str) -> None:
        """Print an error and count it: the exit status will be 1."""
        self.failures += 1
        self.line(f"Error: {text}")

    def line(self, text: str) -> None:
        """Print a line that stays on the screen, on standard error."""
        if self._on_terminal:
            self._progress.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=True)

    def result(self, text: str) -> None:
        """Print a result on standard output, where a script can read it."""
        if self._on_terminal and sys.stdout.isatty():
            self.line(text)  # printed above the bars of the same terminal
        else:
            click.echo(text)


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._task = self._progress.add_task(self._title, total=None, step="asking")
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)

    def __call__(self, step: str, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, step=step, completed=done, total=total)
