"""A repository's package list as operators' files have it: an array of `{name, summary}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import orjson

from adapters.files.aliases import follow_alias, is_alias
from domain.distributions import Distribution, Repository
from domain.errors import ConfigurationError


class PackageList(NamedTuple):
    """A list's columns, as long as each other: thousands of objects would take longer to make than to use."""

    names: list[str]
    summaries: list[str]


def package_list_path(directory: Path, distribution: Distribution, architecture: str, repository: Repository) -> Path:
    """Where the repository's package list is, if there is one."""
    file = f"{distribution.canonical_name}-{architecture}-{repository.id}-packages.json"
    return follow_alias(directory / distribution.name) / file


def package_list_paths(directory: Path, distribution: Distribution) -> Iterator[tuple[str, Repository, Path]]:
    """Architecture, repository and `package_list_path` of all the distribution's repositories, tagged ones too."""
    for architecture in distribution.architectures.values():
        for repository in architecture.repositories:
            path = package_list_path(directory, distribution, architecture.name, repository)
            yield architecture.name, repository, path


def originals(directory: Path, distributions: Mapping[str, Distribution]) -> dict[Path, Distribution]:
    """The distributions by their folders with all links followed, each once: an alias only where it leads outside."""
    found: dict[Path, Distribution] = {}
    for name in sorted(distributions, key=lambda name: (is_alias(directory / name), name)):
        found.setdefault(follow_alias(directory / name).resolve(), distributions[name])
    return found


def read_package_list(path: Path) -> PackageList:
    """The list in the file. Raises `ConfigurationError` naming the field, but not the file."""
    try:
        packages = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"Not JSON: {error}.") from None
    # By hand and not by a schema: start-up waits for some hundred thousand packages, and a schema takes 10 us for each.
    try:
        columns = PackageList([each["name"] for each in packages], [each["summary"] for each in packages])
    except (TypeError, KeyError):
        raise ConfigurationError(_fault(packages)) from None
    if not isinstance(packages, list) or not {*map(type, columns.names), *map(type, columns.summaries)} <= {str}:
        raise ConfigurationError(_fault(packages))
    return columns


def _fault(packages: object) -> str:
    if not isinstance(packages, list):
        return "Expected an array of {name, summary}."
    for index, package in enumerate(packages):
        if not isinstance(package, dict):
            return f"[{index}]: Expected {{name, summary}}."
        for key in ("name", "summary"):
            if not isinstance(package.get(key), str):
                return f"[{index}].{key}: Expected text."
    raise AssertionError("nothing is wrong with it")
