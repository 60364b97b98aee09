"""Package list files of repositories: JSON arrays of `{name, summary}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import orjson

from adapters.files.aliases import follow_alias, is_alias
from domain.distributions import Distribution, Repository
from domain.errors import ConfigurationError


class PackageList(NamedTuple):
    """The columns of a package list, of equal length.

    An object for each package would take too long to create.
    """

    names: list[str]
    summaries: list[str]


def package_list_path(directory: Path, distribution: Distribution, architecture: str, repository: Repository) -> Path:
    """Return the path of the repository's package list, which may not exist."""
    file = f"{distribution.canonical_name}-{architecture}-{repository.id}-packages.json"
    return follow_alias(directory / distribution.name) / file


def package_list_paths(directory: Path, distribution: Distribution) -> Iterator[tuple[str, Repository, Path]]:
    """Return architecture, repository and package list path of each of the distribution's repositories."""
    for architecture in distribution.architectures.values():
        for repository in architecture.repositories:
            path = package_list_path(directory, distribution, architecture.name, repository)
            yield architecture.name, repository, path


def distributions_by_folder(directory: Path, distributions: Mapping[str, Distribution]) -> dict[Path, Distribution]:
    """Return the distributions by resolved folder. An alias is included only if its folder is outside the directory."""
    by_folder: dict[Path, Distribution] = {}
    for name in sorted(distributions, key=lambda name: (is_alias(directory / name), name)):
        by_folder.setdefault(follow_alias(directory / name).resolve(), distributions[name])
    return by_folder


def read_package_list(path: Path) -> PackageList:
    """Read a package list. Raises ConfigurationError, which names the field and not the file."""
    try:
        packages = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"Not JSON: {error}.") from None
    # A marshmallow schema would take 10 us per package, and start-up waits for hundreds of thousands of packages.
    try:
        columns = PackageList([each["name"] for each in packages], [each["summary"] for each in packages])
    except (TypeError, KeyError):
        raise ConfigurationError(_describe_fault(packages)) from None
    if not isinstance(packages, list) or not {*map(type, columns.names), *map(type, columns.summaries)} <= {str}:
        raise ConfigurationError(_describe_fault(packages))
    return columns


def _describe_fault(packages: object) -> str:
    if not isinstance(packages, list):
        return "Expected an array of {name, summary}."
    for index, package in enumerate(packages):
        if not isinstance(package, dict):
            return f"[{index}]: Expected {{name, summary}}."
        for key in ("name", "summary"):
            if not isinstance(package.get(key), str):
                return f"[{index}].{key}: Expected text."
    raise AssertionError("the package list is valid")
