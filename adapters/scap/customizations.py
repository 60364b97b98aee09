"""What a profile of a benchmark asks of an image, as the contract's Customizations have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.repodata.errors import content_error
from adapters.repodata.text import has_controls
from adapters.scap.benchmark import Benchmark
from domain.errors import InvalidRequestError
from domain.osbuild import blueprint

# Characters of TOML that the profiles of one benchmark may have, as long as they differ: time goes with them. Those of
# RHEL 9 have some 10 thousand.
_MOST_TOML: Final = 4 * 1024 * 1024
_SERVICES: Final = ("enabled", "disabled", "masked")
_TAKEN: Final = frozenset({"packages", "filesystem", "kernel", "services", "fips"})
_PARAGRAPH: Final = re.compile(r"[ \t\r]*\n(?:[ \t\r]*\n)+[ \t\r]*")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_NOT_IN_NAMES: Final = re.compile(r"\s")


@dataclass(slots=True)
class ProfileReader:
    """Reads profiles of one benchmark.

    `ignored` are the keys of osbuild fixes that no profile's customizations are made from; they grow while profiles are
    read.
    """

    benchmark: Benchmark
    ignored: set[str] = field(default_factory=set)
    _read: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _left: int = _MOST_TOML

    def customizations(self, profile_id: str) -> dict[str, Any]:
        """`openscap` with the profile's name and description, and `filesystem`, `kernel`, `packages`, `services` and
        `fips` as far as the rules ask for them, in the order of the rules.

        Raises `UnavailableError` naming profile or rule when something is missing or holds control characters.
        """
        profile = self.benchmark.profile(profile_id)
        document: dict[str, Any] = {"openscap": _openscap(profile_id, profile.title, profile.description)}
        wanted = _Wanted()
        for rule_id, fix in self.benchmark.fixes(profile):
            try:
                wanted.add(self._customizations_of(fix))
            except InvalidRequestError as error:
                raise content_error(f"the fix of {rule_id}: {error.detail}") from None
        return document | wanted.document()

    def _customizations_of(self, fix: str) -> Mapping[str, Any]:
        known = self._read.get(fix)
        if known is None:
            self._left -= len(fix)
            if self._left < 0:
                raise content_error(f"the benchmark has fixes of more than {_MOST_TOML} characters")
            read = blueprint.read(fix)
            self.ignored.update(read.unknown, read.customizations.keys() - _TAKEN)
            known = self._read[fix] = read.customizations
            _refuse_controls(known)
        return known


@dataclass(slots=True)
class _Wanted:
    """What rules ask for together: each thing once, of a mount point's sizes the largest."""

    packages: dict[str, None] = field(default_factory=dict)
    services: dict[str, dict[str, None]] = field(default_factory=lambda: {state: {} for state in _SERVICES})
    filesystem: dict[str, int] = field(default_factory=dict)
    arguments: dict[str, None] = field(default_factory=dict)
    fips: bool = False

    def add(self, customizations: Mapping[str, Any]) -> None:
        self.packages |= dict.fromkeys(customizations.get("packages", ()))
        for state, names in customizations.get("services", {}).items():
            self.services[state] |= dict.fromkeys(names)
        for each in customizations.get("filesystem", ()):
            point = each["mountpoint"]
            self.filesystem[point] = max(each["min_size"], self.filesystem.get(point, 0))
        self.arguments |= dict.fromkeys(customizations.get("kernel", {}).get("append", "").split())
        self.fips = self.fips or customizations.get("fips", {}).get("enabled", False)

    def document(self) -> dict[str, Any]:
        """The customizations, without those that nothing asks for."""
        services = {state: list(names) for state, names in self.services.items() if names}
        found = {
            "filesystem": [{"mountpoint": point, "min_size": size} for point, size in self.filesystem.items()],
            "kernel": {"append": " ".join(self.arguments)} if self.arguments else None,
            "packages": list(self.packages),
            "services": services,
            "fips": {"enabled": True} if self.fips else None,
        }
        return {key: value for key, value in found.items() if value}


def _openscap(profile_id: str, title: str, description: str) -> dict[str, str]:
    name = _BLANKS.sub(" ", title).strip()
    if not name:
        raise content_error(f"{profile_id} has no title")
    paragraphs = [_BLANKS.sub(" ", part).strip() for part in _PARAGRAPH.split(description.strip())]
    for text in (profile_id, name, *paragraphs):
        if has_controls(text):
            raise content_error(f"{profile_id} has control characters in its id, title or description")
    said = {"profile_description": "\n\n".join(paragraphs)} if description.strip() else {}
    return {"profile_id": profile_id, "profile_name": name, **said}


def _refuse_controls(customizations: Mapping[str, Any]) -> None:
    """Raises InvalidRequestError for control characters, and for blanks in names, which end names elsewhere."""
    services: Iterable[list[str]] = customizations.get("services", {}).values()
    points = [each["mountpoint"] for each in customizations.get("filesystem", ())]
    names = [*customizations.get("packages", ()), *(name for state in services for name in state), *points]
    for text in (*names, customizations.get("kernel", {}).get("append", "")):
        if has_controls(text):
            raise InvalidRequestError("control characters in a name or in kernel arguments")
    for name in names:
        if not name or _NOT_IN_NAMES.search(name):
            raise InvalidRequestError(f"{name[:100]!r} is no name of a package, a service or a mount point")
    for point in points:
        if not point.startswith("/"):
            raise InvalidRequestError(f"{point[:100]!r} is no mount point")
