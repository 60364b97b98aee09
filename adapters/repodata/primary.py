"""The primary: every package of a repository."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from adapters.repodata.elements import read_elements
from adapters.repodata.errors import damaged
from adapters.repodata.versions import Version

# Bytes that all names and summaries of one list may take, each package counted with what Python adds.
_LARGEST_LIST: Final = 256 * 1024 * 1024
_PER_PACKAGE: Final = 500
_WANTED: Final = frozenset({"name", "arch", "summary"})


@dataclass(frozen=True, slots=True)
class Package:
    """A package as the package lists have it."""

    name: str
    summary: str


def read_packages(pieces: Iterable[bytes], architecture: str) -> tuple[Package, ...]:
    """The packages of the primary that `architecture` can install, itself and noarch, sorted by name.

    Each name once, with the summary of its newest version. Raises `UnavailableError` when the XML is not a sound
    primary.
    """
    primary = _Primary(frozenset({architecture, "noarch"}))
    read_elements(pieces, primary)
    return tuple(Package(name, primary.newest[name][1]) for name in sorted(primary.newest))


class _Primary:
    deepest = 2

    def __init__(self, architectures: frozenset[str]) -> None:
        self.newest: dict[str, tuple[Version, str]] = {}
        self._architectures = architectures
        self._size = 0
        self._texts: dict[str, str] = {}
        self._version: dict[str, str] = {}
        self._is_rpm = False

    def start(self, depth: int, name: str, attributes: dict[str, str]) -> bool:
        if depth == 2:
            if name == "version":
                self._version = attributes
            return name in _WANTED
        if depth == 1:
            self._texts, self._version = {}, {}
            self._is_rpm = name == "package" and attributes.get("type", "rpm") == "rpm"
        elif name != "metadata":
            raise damaged("the primary is no package metadata")
        return False

    def end(self, depth: int, name: str, text: str) -> None:
        if depth == 2 and name in _WANTED:
            self._texts[name] = text
        elif depth == 1 and self._is_rpm:
            self._add()

    def _add(self) -> None:
        name, architecture = self._texts.get("name"), self._texts.get("arch")
        if not name or not architecture:
            raise damaged("the primary has a package without name or architecture")
        if architecture not in self._architectures:
            return
        version, summary = self._parsed_version(name), self._texts.get("summary", "")
        known = self.newest.get(name)
        if known is None or known[0] < version:
            self._size += len(name) + len(summary) + _PER_PACKAGE
            if self._size > _LARGEST_LIST:
                raise damaged("the primary has more packages than fit into memory")
            self.newest[name] = (version, summary)

    def _parsed_version(self, name: str) -> Version:
        epoch = self._version.get("epoch") or "0"
        if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 20):
            raise damaged(f"the primary has an epoch of {name[:100]} that is no number")
        return Version(int(epoch), self._version.get("ver", ""), self._version.get("rel", ""))
