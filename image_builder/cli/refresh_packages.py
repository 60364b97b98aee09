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
_NO_CERTIFICATE: Final = "skipped, it wants a client certificate (--client-cert); its old list stays"


@click.command("refresh-packages")
@directory_option
@click.option("--client-cert", type=_FILE, help="Certificate of a subscribed machine, for RHEL repositories.")
@click.option("--client-key", type=_FILE, help="Its key, where that is a file of its own.")
@click.option("--ca", type=_FILE, help="The only authorities trusted for RHEL repositories.")
@click.option(
    "--timeout", type=click.FloatRange(1), default=600, show_default=True, help="Seconds that one repository may take."
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
    """Write the package lists of the distributions NAME anew, from what their repositories hold now.

    Without NAME: of all that have repositories. A distribution's lists are replaced together, or left as they were
    when one of its repositories fails, or holds no packages any more; the others go on, and the exit status is 1. RHEL
    repositories are skipped without a client certificate. Checksums are verified, signatures of metadata are not.
    """
    if client_cert is None and (client_key or ca):
        raise click.UsageError("--client-key and --ca go with --client-cert")
    certificate = ClientCertificate(client_cert, client_key, ca) if client_cert else None
    if certificate:
        certificate.check()
    with _Report() as report:
        refresh = _Refresh(directory, certificate, timeout, report)
        for distribution in list(_chosen(directory, names, report)):
            refresh.distribution(distribution)
    if report.failures:
        raise SystemExit(1)


def _chosen(directory: Path, names: tuple[str, ...], report: _Report) -> Iterator[Distribution]:
    """Those named, or all; one that has several names once."""
    distributions = load_distributions(directory)
    seen = set()
    for name in names or sorted(distributions):
        distribution = distributions.get(name)
        if distribution is None:
            report.failure(f"{name}: there is no such distribution in {directory}")
            continue
        folder = follow_alias(directory / name).resolve()
        if folder in seen:
            continue
        seen.add(folder)
        if any(a.repositories for a in distribution.architectures.values()):
            yield distribution
        elif names:
            report.failure(f"{name}: has no repositories")


@dataclass(frozen=True, slots=True)
class _Refresh:
    directory: Path
    certificate: ClientCertificate | None
    timeout: float
    report: _Report

    def distribution(self, distribution: Distribution) -> None:
        """Write its lists anew, or report why they stay as they are."""
        try:
            with FileTransaction(follow_alias(self.directory / distribution.name)) as lists:
                for architecture in distribution.architectures.values():
                    for repository in architecture.repositories:
                        self._repository(distribution, architecture.name, repository, lists)
                written = lists.commit()
        except UnavailableError as error:
            self.report.failure(f"{error.detail}; the distribution's lists are left as they were")
        except ConfigurationError as error:
            self.report.failure(f"{distribution.name}: {error.detail}")
        else:
            self.report.result(f"{distribution.name}: {written} package lists written")

    def _repository(
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
            raise UnavailableError(f"{title}: the repository holds no packages, and the list that is there does")
        lists.add(path, format_package_list(packages))
        self.report.line(f"{title}: {len(packages)} packages")


class _Report:
    """What is going on, on standard error, with bars where that is a terminal; what was done, on standard output."""

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
        """The bar of one repository, as long as it is read."""
        return _Bar(self._progress, title)

    def failure(self, text: str) -> None:
        """Something that makes the exit status 1."""
        self.failures += 1
        self.line(f"Error: {text}")

    def line(self, text: str) -> None:
        """Something worth to be read afterwards."""
        if self._on_terminal:
            self._progress.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=True)

    def result(self, text: str) -> None:
        """What a script may want to read."""
        if self._on_terminal and sys.stdout.isatty():
            self.line(text)  # the bars are on the same screen
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
