"""The package lists of a distribution directory, indexed once for all worker processes."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, BinaryIO, Final
from weakref import finalize

from adapters.files.aliases import follow_alias
from adapters.files.package_list_files import (
    PackageList,
    originals,
    package_list_paths,
    read_package_list,
)
from domain.distributions import Distribution
from domain.errors import ConfigurationError
from domain.packages import Package, PackagesPage, rank
from domain.paging import Page

_OFFSET: Final = "I"
# No text out of a JSON file holds lone surrogates, but one may have to part the names: see `_separator`.
_SURROGATES: Final = "surrogatepass"


@dataclass(frozen=True, slots=True)
class _Index:
    """Where the packages of one architecture are, as offsets in bytes from the beginning of the memory.

    From `names` on the sorted names, `separator` between them; from `offsets` on, for each name and for the end, where
    its summary begins, in bytes from `summaries` on; all text in UTF-8.
    """

    count: int
    separator: str
    names: int
    offsets: int
    summaries: int


class FilePackageLists:
    """Fulfils ports.packages.PackageLists. Thread-safe.

    The lists are in memory behind a descriptor. A process that is spawned with this as an argument maps the same
    memory: it costs the other workers nothing.
    """

    def __init__(self, descriptor: int, indexes: Mapping[tuple[str, str], _Index]) -> None:
        """The indexes by the distribution's name and architecture; closes the descriptor when it is no longer used."""
        finalize(self, os.close, descriptor)
        self._descriptor = descriptor
        self._indexes = indexes
        # Nothing cannot be mapped, and nobody looks into it.
        self._memory = mmap(descriptor, 0, access=ACCESS_READ) if indexes else b""

    def search(self, distribution: Distribution, architecture: str, text: str, page: Page) -> PackagesPage | None:
        """See the port."""
        index = self._indexes.get((distribution.name, architecture))
        if index is None:
            return None
        # Split anew for each search: that takes less than a millisecond, and all lists split take many megabytes.
        names = self._text(index.names, index.offsets).split(index.separator)[: index.count]
        found = rank(names, text)
        shown = found[page.offset : page.offset + page.limit]
        return PackagesPage(len(found), tuple(Package(names[at], self._summary(index, at)) for at in shown))

    def __reduce__(self) -> tuple[Any, ...]:
        """For `multiprocessing`'s spawn, which hands the descriptor on."""
        return _inherited, (DupFd(self._descriptor), self._indexes)

    def _summary(self, index: _Index, position: int) -> str:
        size = array(_OFFSET).itemsize
        at = index.offsets + position * size
        begin, end = memoryview(self._memory)[at : at + 2 * size].cast(_OFFSET)
        return self._text(index.summaries + begin, index.summaries + end)

    def _text(self, begin: int, end: int) -> str:
        return self._memory[begin:end].decode(errors=_SURROGATES)


def index_package_lists(directory: Path, distributions: Mapping[str, Distribution]) -> FilePackageLists:
    """The lists of the directory's distributions. Raises `ConfigurationError` naming every broken file and its field.

    Those of repositories with image type tags are checked, but not searched.
    """
    indexes: dict[tuple[Path, str], _Index] = {}
    errors: list[str] = []
    descriptor = _memory_file()
    with os.fdopen(descriptor, "wb", closefd=False) as memory:
        for folder, distribution in originals(directory, distributions).items():
            for architecture, lists in _lists(directory, distribution, errors).items():
                indexes[folder, architecture] = _write(memory, lists)
    if errors:
        os.close(descriptor)
        raise ConfigurationError("\n".join(errors))
    folders = {name: follow_alias(directory / name).resolve() for name in distributions}
    by_name = {
        (name, architecture): index
        for name, folder in folders.items()
        for (indexed, architecture), index in indexes.items()
        if indexed == folder
    }
    return FilePackageLists(descriptor, by_name)


def _lists(directory: Path, distribution: Distribution, errors: list[str]) -> dict[str, list[PackageList]]:
    """The lists that are searched, by architecture, in the order of the repositories; faults go to `errors`."""
    found: dict[str, list[PackageList]] = {}
    for architecture, repository, path in package_list_paths(directory, distribution):
        if not path.exists():
            continue
        try:
            packages = read_package_list(path)
        except ConfigurationError as error:
            errors.append(f"{path}: {error.detail}")
            continue
        if not repository.image_type_tags:
            found.setdefault(architecture, []).append(packages)
    return found


def _write(memory: BinaryIO, lists: Sequence[PackageList]) -> _Index:
    # Without a step in Python for each package: there are half a million. The last one that is put in stays.
    summary_of: dict[str, str] = {}
    for packages in reversed(lists):
        summary_of.update(zip(reversed(packages.names), reversed(packages.summaries), strict=True))
    names = sorted(summary_of)
    summaries = list(map(str.encode, map(summary_of.__getitem__, names)))
    separator = _separator(names)
    begin = memory.tell()
    offsets = begin + memory.write(separator.join(names).encode(errors=_SURROGATES))
    begins = array(_OFFSET, accumulate(map(len, summaries), initial=0))
    in_summaries = offsets + memory.write(begins.tobytes())
    memory.write(b"".join(summaries))
    return _Index(len(names), separator, begin, offsets, in_summaries)


def _separator(names: Iterable[str]) -> str:
    """The first character that is in none of the names; names that are ASCII stay ASCII, which is what is fast."""
    used = "".join(names)
    return next(character for character in map(chr, range(0x110000)) if character not in used)


def _memory_file() -> int:
    """The descriptor of a file without a name, in memory where the platform has that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("package lists")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _inherited(descriptor: Any, indexes: Mapping[tuple[str, str], _Index]) -> FilePackageLists:
    return FilePackageLists(descriptor.detach(), indexes)
