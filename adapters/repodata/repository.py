"""Reads the packages of one repository, directly or through the mirrors of a metalink."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, TypeVar

from adapters.repodata.checksum import Checksum
from adapters.repodata.compression import decompress
from adapters.repodata.download import Downloads
from adapters.repodata.errors import add_context, content_error, permanent_error
from adapters.repodata.metalink import read_metalink
from adapters.repodata.primary import Package, read_packages
from adapters.repodata.repomd import Primary, read_repomd
from domain.distributions import Repository
from domain.errors import UnavailableError

_MAX_FAILURES_SHOWN: Final = 3  # the number of mirrors whose failures the error lists
# Each mirror may take this fraction of the timeout, so that a slow mirror leaves time for others.
_MIRROR_SHARE: Final = 1 / 4

_Result = TypeVar("_Result")


class Progress(Protocol):
    """A callback for progress: `done` of `total` bytes of a step, such as "downloading", are processed."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Location:
    """The base URL of a repository, the checksum that its repomd.xml must have, and the deadline for reading it."""

    base: str
    checksum: Checksum | None
    deadline: float


def repository_packages(
    repository: Repository, architecture: str, downloads: Downloads, timeout: float, progress: Progress
) -> tuple[Package, ...]:
    """Read the repository's packages for an architecture, sorted by name; each name occurs once.

    `timeout` is the number of seconds for all downloads in total. Raises UnavailableError with the reason; for a
    metalink, with the reasons of the first mirrors.
    """
    deadline = time.monotonic() + timeout
    if repository.metalink is not None:
        return _read_from_mirrors(repository.metalink, architecture, downloads, deadline, progress)
    location = _Location(repository.baseurl or "", None, deadline)
    try:
        return _retry_once(lambda: _read_packages(location, architecture, downloads, progress), deadline)
    except UnavailableError as error:
        raise permanent_error(f"{location.base}: {error.detail}") from error


def _read_from_mirrors(
    address: str, architecture: str, downloads: Downloads, deadline: float, progress: Progress
) -> tuple[Package, ...]:
    remaining = deadline - time.monotonic()
    metalink = _retry_once(lambda: read_metalink(downloads.document(address, address, deadline)), deadline)
    failures: list[str] = []
    for mirror in metalink.mirrors:
        now = time.monotonic()
        if now >= deadline:
            failures.append("then the timeout expired")
            break
        location = _Location(mirror, metalink.checksum, min(deadline, now + remaining * _MIRROR_SHARE))
        try:
            return _read_packages(location, architecture, downloads, progress)
        except UnavailableError as error:
            failures.append(f"{mirror}: {error.detail}")
    raise permanent_error(f"no mirror of its metalink serves it: {_summarize(failures)}")


def _retry_once(action: Callable[[], _Result], deadline: float) -> _Result:
    """Retry a failed action once, because the repository may have changed, or a server may have failed for a moment."""
    try:
        return action()
    except UnavailableError as error:
        if error.retry_after is None or time.monotonic() >= deadline:
            raise
    return action()


def _summarize(failures: list[str]) -> str:
    more = len(failures) - _MAX_FAILURES_SHOWN
    return "; ".join([*failures[:_MAX_FAILURES_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _read_packages(
    location: _Location, architecture: str, downloads: Downloads, progress: Progress
) -> tuple[Package, ...]:
    content = downloads.document(_address(location, "repodata/repomd.xml"), "repomd.xml", location.deadline)
    if location.checksum is not None:
        digest = location.checksum.digest()
        digest.update(content)
        digest.verify("repomd.xml", "the metalink")
    primary = read_repomd(content)
    with tempfile.TemporaryFile() as file:
        _download(primary, location, downloads, file, progress)
        file.seek(0)
        try:
            return read_packages(_verified_content(primary, file, location.deadline, progress), architecture)
        except UnavailableError as error:
            raise add_context(primary.location, error) from error


def _download(primary: Primary, location: _Location, downloads: Downloads, file: BinaryIO, progress: Progress) -> None:
    digest = primary.checksum.digest()
    done = 0

    def take(piece: bytes) -> None:
        nonlocal done
        done += len(piece)
        digest.update(piece)
        progress("downloading", done, primary.size)

    address = _address(location, primary.location)
    downloads.into(file, address, primary.location, primary.size, location.deadline, take)
    digest.verify(primary.location, "repomd.xml")


def _verified_content(primary: Primary, file: BinaryIO, deadline: float, progress: Progress) -> Iterator[bytes]:
    """Decompress the primary metadata, and verify its size and checksum."""
    digest = primary.open_checksum.digest() if primary.open_checksum else None
    done = 0
    for piece in decompress(file, deadline):
        done += len(piece)
        if done > primary.open_size:
            raise content_error(f"decompresses to more than {primary.open_size} bytes")
        if digest:
            digest.update(piece)
        progress("reading", done, primary.open_size)
        yield piece
    if digest:
        digest.verify("its decompressed content", "repomd.xml")


def _address(repository: _Location, path: str) -> str:
    return f"{repository.base.rstrip('/')}/{path}"
