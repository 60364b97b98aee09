"""OpenSCAP profiles in the distribution directory: `<distribution>/oscap/<profile id>/customizations.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from adapters.files.aliases import follow_alias
from adapters.files.package_list_files import distributions_by_folder
from domain.distributions import Distribution
from domain.errors import ConfigurationError, InvalidRequestError
from domain.nulls import without_nested_nulls

_FOLDER: Final = "oscap"
_FILE: Final = "customizations.json"

# A function that validates a document by the schema Customizations of openapi.yaml and returns it with defaults. It
# raises InvalidRequestError naming the field.
CustomizationsValidator: TypeAlias = Callable[[Any], dict[str, Any]]


def list_profile_ids(folder: Path) -> tuple[str, ...]:
    """Return the ids of the profiles in a distribution's folder, sorted. Raises OSError."""
    profiles = folder / _FOLDER
    if not profiles.is_dir():
        return ()
    return tuple(sorted(e.name for e in profiles.iterdir() if e.is_dir() and not e.name.startswith(".")))


def list_own_profile_ids(folder: Path) -> tuple[str, ...]:
    """Return `list_profile_ids` without the profiles that are symbolic links. Raises OSError."""
    return tuple(each for each in list_profile_ids(folder) if not (folder / _FOLDER / each).is_symlink())


def profile_path(folder: Path, profile_id: str) -> Path:
    """Return the path of a profile's customizations in a distribution's folder; the file may not exist."""
    return folder / _FOLDER / profile_id / _FILE


def read_profile(path: Path, accept: CustomizationsValidator) -> dict[str, Any]:
    """Read the customizations of a profile. Raises ConfigurationError, which names the field and not the file."""
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"Not JSON: {error}.") from None
    return check_profile(document, accept)


def check_profile(document: Any, accept: CustomizationsValidator) -> dict[str, Any]:
    """Validate the content of a profile's file, and return it with defaults.

    Raises ConfigurationError, which names the field.
    """
    if not isinstance(document, dict):
        raise ConfigurationError("Expected an object.")
    try:
        # Files of operators contain nulls, which openapi.yaml does not allow.
        return accept(without_nested_nulls(document))
    except InvalidRequestError as error:
        raise ConfigurationError(error.detail) from None


def load_profiles(
    directory: Path, distributions: Mapping[str, Distribution], accept: CustomizationsValidator
) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the customizations of all profiles that have a file, by distribution (including aliases) and profile id.

    Raises ConfigurationError, which names all invalid files and fields.
    """
    by_folder: dict[Path, dict[str, dict[str, Any]]] = {}
    errors: list[str] = []
    for folder, distribution in distributions_by_folder(directory, distributions).items():
        by_folder[folder] = {}
        for profile_id in distribution.profiles:
            path = profile_path(directory / distribution.name, profile_id)
            try:
                if path.exists():
                    by_folder[folder][profile_id] = read_profile(path, accept)
            except ConfigurationError as error:
                errors.append(f"{path}: {error.detail}")
    if errors:
        raise ConfigurationError("\n".join(errors))
    return {
        (name, profile_id): document
        for name in distributions
        for profile_id, document in by_folder[follow_alias(directory / name).resolve()].items()
    }
