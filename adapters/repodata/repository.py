"""One repository, from its address to its packages."""

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

_SHOWN: Final = 3  # mirrors whose failures are told
# A mirror may take this part of the time, so that a slow one leaves some for the others.
_SHARE: Final = 1 / 4

_Result = TypeVar("_Result")


class Progress(Protocol):
    """Who watches: `step` is what is being done, `done` of `total` bytes of it are."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the repository is, and what its repomd.xml must be."""

    base: str
    checksum: Checksum | None
    deadline: float


def repository_packages(
    repository: Repository, architecture: str, downloads: Downloads, timeout: float, progress: Progress
) -> tuple[Package, ...]:
    """The repository's packages for the architecture, sorted by name, each name once.

    `timeout` is in seconds and for all together. Raises `UnavailableError` saying what was wrong; of a metalink with
    every mirror's reason, or the first ones'.
    """
    deadline = time.monotonic() + timeout
    if repository.metalink is not None:
        return _from_mirrors(repository.metalink, architecture, downloads, deadline, progress)
    place = _Place(repository.baseurl or "", None, deadline)
    try:
        return _twice(lambda: _packages(place, architecture, downloads, progress), deadline)
    except UnavailableError as error:
        raise permanent_error(f"{place.base}: {error.detail}") from error


def _from_mirrors(
    address: str, architecture: str, downloads: Downloads, deadline: float, progress: Progress
) -> tuple[Package, ...]:
    left = deadline - time.monotonic()
    metalink = _twice(lambda: read_metalink(downloads.document(address, address, deadline)), deadline)
    failures: list[str] = []
    for mirror in metalink.mirrors:
        now = time.monotonic()
        if now >= deadline:
            failures.append("then the time was up")
            break
        place = _Place(mirror, metalink.checksum, min(deadline, now + left * _SHARE))
        try:
            return _packages(place, architecture, downloads, progress)
        except UnavailableError as error:
            failures.append(f"{mirror}: {error.detail}")
    raise permanent_error(f"no mirror of its metalink serves it: {_some(failures)}")


def _twice(action: Callable[[], _Result], deadline: float) -> _Result:
    """A repository that changes while it is read is whole the next time; nor does every server always answer."""
    try:
        return action()
    except UnavailableError as error:
        if error.retry_after is None or time.monotonic() >= deadline:
            raise
    return action()


def _some(failures: list[str]) -> str:
    more = len(failures) - _SHOWN
    return "; ".join([*failures[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _packages(place: _Place, architecture: str, downloads: Downloads, progress: Progress) -> tuple[Package, ...]:
    content = downloads.document(_address(place, "repodata/repomd.xml"), "repomd.xml", place.deadline)
    if place.checksum is not None:
        digest = place.checksum.digest()
        digest.update(content)
        digest.verify("repomd.xml", "the metalink")
    primary = read_repomd(content)
    with tempfile.TemporaryFile() as file:
        _download(primary, place, downloads, file, progress)
        file.seek(0)
        try:
            return read_packages(_checked(primary, file, place.deadline, progress), architecture)
        except UnavailableError as error:
            raise add_context(primary.location, error) from error


def _download(primary: Primary, place: _Place, downloads: Downloads, file: BinaryIO, progress: Progress) -> None:
    digest = primary.checksum.digest()
    done = 0

    def take(piece: bytes) -> None:
        nonlocal done
        done += len(piece)
        digest.update(piece)
        progress("downloading", done, primary.size)

    address = _address(place, primary.location)
    downloads.into(file, address, primary.location, primary.size, place.deadline, take)
    digest.verify(primary.location, "repomd.xml")


def _checked(primary: Primary, file: BinaryIO, deadline: float, progress: Progress) -> Iterator[bytes]:
    """The opened primary, as long as it is what repomd.xml promises."""
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


def _address(place: _Place, location: str) -> str:
    return f"{place.base.rstrip('/')}/{location}"
