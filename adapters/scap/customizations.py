"""Converts profiles of a benchmark to customizations (openapi.yaml, schema Customizations)."""

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

# The total number of characters of all different fixes of a benchmark, which limits the time to parse them; those of
# RHEL 9 have about 10,000.
_MAX_TOML: Final = 4 * 1024 * 1024
_SERVICES: Final = ("enabled", "disabled", "masked")
# Customizations that are used for profiles; others are ignored.
_USED: Final = frozenset({"packages", "filesystem", "kernel", "services", "fips"})
_PARAGRAPH: Final = re.compile(r"[ \t\r]*\n(?:[ \t\r]*\n)+[ \t\r]*")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_WHITE_SPACE: Final = re.compile(r"\s")


@dataclass(slots=True)
class ProfileReader:
    """Converts profiles of one benchmark to customizations.

    `ignored` collects the keys of osbuild fixes that profiles cannot contain, while profiles are converted.
    """

    benchmark: Benchmark
    ignored: set[str] = field(default_factory=set)
    _parsed: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _remaining_characters: int = _MAX_TOML

    def customizations(self, profile_id: str) -> dict[str, Any]:
        """Return the customizations of a profile.

        They are `openscap` with the profile's name and description, and those of `filesystem`, `kernel`, `packages`,
        `services` and `fips` that its rules require, in the order of the rules. Raises UnavailableError, which names
        the profile or the rule if something is missing or contains control characters.
        """
        profile = self.benchmark.profile(profile_id)
        document: dict[str, Any] = {"openscap": _openscap(profile_id, profile.title, profile.description)}
        requirements = _Requirements()
        for rule_id, fix in self.benchmark.fixes(profile):
            try:
                requirements.add(self._parse_fix(fix))
            except InvalidRequestError as error:
                raise content_error(f"the fix of {rule_id}: {error.detail}") from None
        return document | requirements.document()

    def _parse_fix(self, fix: str) -> Mapping[str, Any]:
        customizations = self._parsed.get(fix)
        if customizations is None:
            self._remaining_characters -= len(fix)
            if self._remaining_characters < 0:
                raise content_error(f"the benchmark has fixes of more than {_MAX_TOML} characters")
            parsed = blueprint.parse_blueprint(fix)
            self.ignored.update(parsed.unknown, parsed.customizations.keys() - _USED)
            customizations = self._parsed[fix] = parsed.customizations
            _refuse_controls(customizations)
        return customizations


@dataclass(slots=True)
class _Requirements:
    """The requirements of several rules without duplicates, with the largest size of each mount point."""

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
        """Return the customizations, without empty ones."""
        services = {state: list(names) for state, names in self.services.items() if names}
        customizations = {
            "filesystem": [{"mountpoint": point, "min_size": size} for point, size in self.filesystem.items()],
            "kernel": {"append": " ".join(self.arguments)} if self.arguments else None,
            "packages": list(self.packages),
            "services": services,
            "fips": {"enabled": True} if self.fips else None,
        }
        return {key: value for key, value in customizations.items() if value}


def _openscap(profile_id: str, title: str, description: str) -> dict[str, str]:
    name = _BLANKS.sub(" ", title).strip()
    if not name:
        raise content_error(f"{profile_id} has no title")
    paragraphs = [_BLANKS.sub(" ", part).strip() for part in _PARAGRAPH.split(description.strip())]
    for text in (profile_id, name, *paragraphs):
        if has_controls(text):
            raise content_error(f"{profile_id} has control characters in its id, title or description")
    optional = {"profile_description": "\n\n".join(paragraphs)} if description.strip() else {}
    return {"profile_id": profile_id, "profile_name": name, **optional}


def _refuse_controls(customizations: Mapping[str, Any]) -> None:
    """Raise InvalidRequestError for control characters, and for white space in names, which would separate names."""
    services: Iterable[list[str]] = customizations.get("services", {}).values()
    points = [each["mountpoint"] for each in customizations.get("filesystem", ())]
    names = [*customizations.get("packages", ()), *(name for state in services for name in state), *points]
    for text in (*names, customizations.get("kernel", {}).get("append", "")):
        if has_controls(text):
            raise InvalidRequestError("control characters in a name or in kernel arguments")
    for name in names:
        if not name or _WHITE_SPACE.search(name):
            raise InvalidRequestError(f"{name[:100]!r} is no name of a package, a service or a mount point")
    for point in points:
        if not point.startswith("/"):
            raise InvalidRequestError(f"{point[:100]!r} is no mount point")
