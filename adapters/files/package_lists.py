"""Package search in the package lists of a distribution directory, with one index for all worker processes."""

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
    distributions_by_folder,
    package_list_paths,
    read_package_list,
)
from domain.distributions import Distribution
from domain.errors import ConfigurationError
from domain.packages import Package, PackagesPage, rank
from domain.paging import Page
from domain.similar_names import NameIndex

# The type code of offsets in `array` and `memoryview`: unsigned integers.
_OFFSET: Final = "I"
# The number of name indexes in memory. Each takes about 1 MB for 8,000 names.
_MAX_NAME_INDEXES: Final = 4
# The separator of names may be a lone surrogate (see `_find_separator`); texts of JSON files contain none.
_SURROGATES: Final = "surrogatepass"


@dataclass(frozen=True, slots=True)
class _Index:
    """The positions of the packages of one architecture in the shared memory, as offsets in bytes from its beginning.

    `names` is the offset of the sorted names, with `separator` between them; `summaries` that of their summaries. At
    `offsets` there is an array with the beginning of each summary and the end of the last one, in bytes relative to
    `summaries`. All text is UTF-8.
    """

    count: int
    separator: str
    names: int
    offsets: int
    summaries: int


class FilePackageLists:
    """Package lists in shared memory. Thread-safe. Implements ports.packages.PackageLists.

    Worker processes that are spawned with this object as an argument map the same memory, so it exists once.
    """

    def __init__(self, descriptor: int, indexes: Mapping[tuple[str, str], _Index]) -> None:
        """`descriptor` is the file descriptor of the memory; this object closes it.

        `indexes` are by distribution and architecture.
        """
        finalize(self, os.close, descriptor)
        self._descriptor = descriptor
        self._indexes = indexes
        # An empty file cannot be mapped.
        self._memory = mmap(descriptor, 0, access=ACCESS_READ) if indexes else b""
        self._name_indexes: dict[_Index, NameIndex] = {}

    def search(self, distribution: Distribution, architecture: str, text: str, page: Page) -> PackagesPage | None:
        """Implements `PackageLists.search`."""
        index = self._indexes.get((distribution.name, architecture))
        if index is None:
            return None
        # Split for each search: this takes less than a millisecond, and keeping all split lists would take many
        # megabytes.
        names = self._names(index)
        found = rank(names, text)
        on_page = found[page.offset : page.offset + page.limit]
        return PackagesPage(len(found), tuple(Package(names[at], self._summary(index, at)) for at in on_page))

    def find_similar(
        self, distribution: Distribution, architecture: str, names: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """Implements `PackageLists.find_similar`."""
        index = self._indexes.get((distribution.name, architecture))
        if index is None:
            return {}
        similar = self._name_indexes.get(index)
        if similar is None:
            if len(self._name_indexes) >= _MAX_NAME_INDEXES:
                self._name_indexes.clear()
            similar = self._name_indexes[index] = NameIndex(self._names(index))
        return {name: similar.closest(name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        """Let multiprocessing pass a duplicate of the descriptor to a spawned process."""
        return _rebuild, (DupFd(self._descriptor), self._indexes)

    def _names(self, index: _Index) -> list[str]:
        return self._text(index.names, index.offsets).split(index.separator)[: index.count]

    def _summary(self, index: _Index, position: int) -> str:
        size = array(_OFFSET).itemsize
        at = index.offsets + position * size
        begin, end = memoryview(self._memory)[at : at + 2 * size].cast(_OFFSET)
        return self._text(index.summaries + begin, index.summaries + end)

    def _text(self, begin: int, end: int) -> str:
        return self._memory[begin:end].decode(errors=_SURROGATES)


def index_package_lists(directory: Path, distributions: Mapping[str, Distribution]) -> FilePackageLists:
    """Read and index the package lists of the directory's distributions.

    Lists of repositories with image type tags are checked, but not searched. Raises ConfigurationError, which names all
    invalid files and fields.
    """
    indexes: dict[tuple[Path, str], _Index] = {}
    errors: list[str] = []
    descriptor = _create_memory_file()
    with os.fdopen(descriptor, "wb", closefd=False) as memory:
        for folder, distribution in distributions_by_folder(directory, distributions).items():
            for architecture, lists in _read_lists(directory, distribution, errors).items():
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


def _read_lists(directory: Path, distribution: Distribution, errors: list[str]) -> dict[str, list[PackageList]]:
    """Return the lists to search, by architecture, in the order of the repositories.

    Faults are appended to `errors`.
    """
    lists: dict[str, list[PackageList]] = {}
    for architecture, repository, path in package_list_paths(directory, distribution):
        if not path.exists():
            continue
        try:
            packages = read_package_list(path)
        except ConfigurationError as error:
            errors.append(f"{path}: {error.detail}")
            continue
        if not repository.image_type_tags:
            lists.setdefault(architecture, []).append(packages)
    return lists


def _write(memory: BinaryIO, lists: Sequence[PackageList]) -> _Index:
    """Append the lists of one architecture to the memory. The first list that has a name provides its summary."""
    # There is no Python loop over packages, because there are half a million. The lists are reversed, because later
    # entries replace earlier ones.
    summary_of: dict[str, str] = {}
    for packages in reversed(lists):
        summary_of.update(zip(reversed(packages.names), reversed(packages.summaries), strict=True))
    names = sorted(summary_of)
    summaries = list(map(str.encode, map(summary_of.__getitem__, names)))
    separator = _find_separator(names)
    begin = memory.tell()
    offsets = begin + memory.write(separator.join(names).encode(errors=_SURROGATES))
    begins = array(_OFFSET, accumulate(map(len, summaries), initial=0))
    in_summaries = offsets + memory.write(begins.tobytes())
    memory.write(b"".join(summaries))
    return _Index(len(names), separator, begin, offsets, in_summaries)


def _find_separator(names: Iterable[str]) -> str:
    """Return the first character that no name contains. It is ASCII if possible, because ASCII text is split faster."""
    used = "".join(names)
    return next(character for character in map(chr, range(0x110000)) if character not in used)


def _create_memory_file() -> int:
    """Return the descriptor of a file without a name, in memory if the platform supports it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("package lists")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _rebuild(descriptor: Any, indexes: Mapping[tuple[str, str], _Index]) -> FilePackageLists:
    return FilePackageLists(descriptor.detach(), indexes)
