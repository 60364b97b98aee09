"""Parses the primary metadata of a repository, which lists its packages."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from adapters.repodata.errors import content_error
from adapters.repodata.text import has_controls, without_controls
from adapters.repodata.versions import Version
from adapters.repodata.xml_reader import read_elements

# Bytes of memory for all packages of a repository; those of Fedora take about 40 million.
_MAX_MEMORY: Final = 128 * 1024 * 1024
# Bytes of memory for a package, in addition to its texts.
_PACKAGE_OVERHEAD: Final = 400
# Characters of a version or a release. It limits the time of comparisons: each package is compared with the
# newest one of its name.
_MAX_VERSION_LENGTH: Final = 256
# Elements of a package whose text is read.
_TEXT_ELEMENTS: Final = frozenset({"name", "arch", "summary"})


@dataclass(frozen=True, slots=True)
class Package:
    """An entry of a package list."""

    name: str
    summary: str


def read_packages(pieces: Iterable[bytes], architecture: str) -> tuple[Package, ...]:
    """Parse the packages of an architecture and of `noarch`, sorted by name.

    `pieces` are the XML in pieces. Each name occurs once, with the summary of its newest version; control characters in
    summaries are replaced by spaces. Raises UnavailableError if the XML is not valid primary metadata or exceeds a
    limit.
    """
    primary = _PrimaryHandler(frozenset({architecture, "noarch"}))
    read_elements(pieces, primary)
    return tuple(Package(name, primary.newest[name][1]) for name in sorted(primary.newest))


class _PrimaryHandler:
    """Collects the newest version and the summary of each package. Implements xml_reader.Handler."""

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
            return name in _TEXT_ELEMENTS
        if depth == 1:
            self._texts, self._version = {}, {}
            self._is_rpm = name == "package" and attributes.get("type", "rpm") == "rpm"
        elif name != "metadata":
            raise content_error("the primary is no package metadata")
        return False

    def end(self, depth: int, name: str, text: str) -> None:
        if depth == 2 and name in _TEXT_ELEMENTS:
            self._texts[name] = text
        elif depth == 1 and self._is_rpm:
            self._add()

    def _add(self) -> None:
        name, architecture = self._texts.get("name"), self._texts.get("arch")
        if not name or not architecture:
            raise content_error("the primary has a package without name or architecture")
        if has_controls(name):
            raise content_error(f"the primary has a package with control characters in its name, {name[:100]}")
        if architecture not in self._architectures:
            return
        package = self._parse_version(name), without_controls(self._texts.get("summary", ""))
        newest = self.newest.get(name)
        if newest is None or newest[0] < package[0]:
            self._size += _estimate_size(name, *package) - (_estimate_size(name, *newest) if newest else 0)
            if self._size > _MAX_MEMORY:
                raise content_error("the primary has more packages than fit into memory")
            self.newest[name] = package

    def _parse_version(self, name: str) -> Version:
        epoch = self._version.get("epoch") or "0"
        if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 20):
            raise content_error(f"the primary has an epoch of {name[:100]} that is no number")
        version = Version(int(epoch), self._version.get("ver", ""), self._version.get("rel", ""))
        if max(len(version.version), len(version.release)) > _MAX_VERSION_LENGTH:
            raise content_error(
                f"the primary has a version of {name[:100]} longer than {_MAX_VERSION_LENGTH} characters"
            )
        return version


def _estimate_size(name: str, version: Version, summary: str) -> int:
    """Return the bytes of memory that the package takes."""
    return _PACKAGE_OVERHEAD + sum(map(sys.getsizeof, (name, version.version, version.release, summary)))
