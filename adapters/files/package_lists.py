"""Package search in the package lists of a distribution directory, with one index for all worker processes."""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from mmap import ACCESS_READ, mmap
from multiprocessing.reduction import DupFd
from operator import add
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
_OFFSET_BYTES: Final = array(_OFFSET).itemsize
# A text that more names contain is searched in the split list: to split it then takes less time than to find each name.
_FEW: Final = 300
# The number of name indexes in memory. Each takes about 1 MB for 8,000 names.
_MAX_NAME_INDEXES: Final = 4
# The separator of names may be a lone surrogate (see `_find_separator`); texts of JSON files contain none.
_SURROGATES: Final = "surrogatepass"


@dataclass(frozen=True, slots=True)
class _Index:
    """The positions of the packages of one architecture in the shared memory, as offsets in bytes from its beginning.

    `names` is the offset of the sorted names, with `separator` after each; `summaries` that of their summaries. At
    `name_begins` there is an array with the beginning of each name and the end of the last one, in bytes relative to
    `names`; at `summary_begins` there is the same of the summaries. All text is UTF-8.
    """

    count: int
    separator: str
    names: int
    name_begins: int
    summary_begins: int
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
        found = self._rank(index, text)
        return PackagesPage(len(found), tuple(self._packages(index, found[page.offset : page.offset + page.limit])))

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

    def _rank(self, index: _Index, text: str) -> Sequence[int]:
        """Return what `domain.packages.rank` returns for the names of the index."""
        if not text:
            return range(index.count)
        found = self._find_few(index, text)
        # Split for each search: this takes less than a millisecond, and keeping all split lists would take many
        # megabytes.
        return rank(self._names(index), text) if found is None else found

    def _find_few(self, index: _Index, text: str) -> list[int] | None:
        """Return the positions of the names that contain the text, ranked, or None if there are more than `_FEW`."""
        if index.separator in text:
            return []
        needle = text.encode(errors=_SURROGATES)
        names = self._memory[index.names : index.name_begins]
        begins = self._begins(index.name_begins, index)
        at_begin: list[int] = []
        behind: list[int] = []
        at = names.find(needle)
        while at >= 0:
            position = bisect_right(begins, at) - 1
            (at_begin if begins[position] == at else behind).append(position)
            if len(at_begin) + len(behind) > _FEW:
                return None
            at = names.find(needle, begins[position + 1])
        return at_begin + behind

    def _names(self, index: _Index) -> list[str]:
        return self._text(index.names, index.name_begins).split(index.separator)[: index.count]

    def _packages(self, index: _Index, positions: Iterable[int]) -> Iterator[Package]:
        names, summaries = self._begins(index.name_begins, index), self._begins(index.summary_begins, index)
        separator_bytes = len(index.separator.encode(errors=_SURROGATES))
        for at in positions:
            yield Package(
                self._text(index.names + names[at], index.names + names[at + 1] - separator_bytes),
                self._text(index.summaries + summaries[at], index.summaries + summaries[at + 1]),
            )

    def _begins(self, offset: int, index: _Index) -> memoryview:
        """Return the array at this offset, which has one element more than the index has packages."""
        return memoryview(self._memory)[offset : offset + (index.count + 1) * _OFFSET_BYTES].cast(_OFFSET)

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
    joined = "".join(map(add, names, repeat(separator))).encode(errors=_SURROGATES)
    separator_bytes = separator.encode(errors=_SURROGATES)
    sizes = map(add, map(len, joined.split(separator_bytes)[: len(names)]), repeat(len(separator_bytes)))
    begin = memory.tell()
    name_begins = begin + memory.write(joined)
    summary_begins = name_begins + memory.write(array(_OFFSET, accumulate(sizes, initial=0)).tobytes())
    begins_of_summaries = array(_OFFSET, accumulate(map(len, summaries), initial=0))
    in_summaries = summary_begins + memory.write(begins_of_summaries.tobytes())
    memory.write(b"".join(summaries))
    return _Index(len(names), separator, begin, name_begins, summary_begins, in_summaries)


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
