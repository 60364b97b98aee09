"""Generates the OpenSCAP profiles of the distribution directory from `oscap.yaml`.

`oscap.yaml` holds sets of profiles; entries of `source.yaml` name a set in `profiles`. A profile has a `name` that
users see, and its requirements: `filesystem` (sizes by mount point), `kernel` (arguments), `packages`, services
`enabled` and `masked`, and `fips`. `descriptions` holds the descriptions of profiles of all sets; the `description` of
a profile takes precedence. Descriptions may hold the placeholders of `source.yaml`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, post_load

from adapters.files.distribution_source import (
    Document,
    Entry,
    Source,
    fill_placeholders,
    format_document,
    write_if_changed,
)
from adapters.files.profiles import profile_path
from domain.errors import ConfigurationError
from domain.osbuild.sizes import size_in_bytes

PROFILES_FILE: Final = "oscap.yaml"
_ID_PREFIX: Final = "xccdf_org.ssgproject.content_profile_"


@dataclass(frozen=True, slots=True)
class ProfileTemplate:
    """A profile of the source. `filesystem` holds sizes in bytes by mount point.

    `enabled` and `masked` are None if the profile has no such list; an empty list is written to the file.
    """

    name: str
    description: str | None = None
    filesystem: Mapping[str, int] = field(default_factory=dict)
    kernel: str = ""
    packages: tuple[str, ...] = ()
    enabled: tuple[str, ...] | None = None
    masked: tuple[str, ...] | None = None
    fips: bool = False


@dataclass(frozen=True, slots=True)
class ProfileSets:
    """The sets of profiles by name, each by short profile id, and the common descriptions by short profile id."""

    sets: Mapping[str, Mapping[str, ProfileTemplate]]
    descriptions: Mapping[str, str]


def load_profile_sets(path: Path) -> ProfileSets:
    """Read the file. Raises ConfigurationError, which names the file and the fault."""
    try:
        return parse_profile_sets(yaml.safe_load(path.read_bytes()), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {error}") from None


def parse_profile_sets(content: Any, where: str = PROFILES_FILE) -> ProfileSets:
    """Check the sets; `content` is the parsed YAML. Raises ConfigurationError, which begins with `where`."""
    try:
        loaded = _SETS.deserialize(content)
        descriptions = _DESCRIPTIONS.deserialize(loaded.pop("descriptions", {}))
        sets = {name: _SET.deserialize(profiles) for name, profiles in loaded.items()}
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {json.dumps(error.messages)}") from None
    return ProfileSets(sets, descriptions)


def generate_profiles(source: Source, sets: ProfileSets) -> dict[tuple[str, str], Document]:
    """Return the customizations of each profile, by distribution and profile id. Aliases have no profiles of their own.

    Raises ConfigurationError for an unknown set or placeholder, and for a profile without a description.
    """
    documents = {}
    for name, entry in source.distributions.items():
        if entry.profiles is None:
            continue
        if entry.profiles not in sets.sets:
            raise ConfigurationError(
                f"{name}: profiles: unknown {entry.profiles!r}, expected one of {', '.join(sorted(sets.sets))}"
            )
        for short, template in sets.sets[entry.profiles].items():
            profile_id = _ID_PREFIX + short
            text = template.description or sets.descriptions.get(short)
            if not text:
                raise ConfigurationError(f"{name}: {short}: has no description")
            documents[name, profile_id] = _create_customizations(
                profile_id, template, _create_description(text, name, entry)
            )
    return documents


def _create_description(text: str, name: str, entry: Entry) -> str:
    description: str = fill_placeholders(text, entry.values, name)
    return f"{description} Applied to {entry.profiles_applied_to}." if entry.profiles_applied_to else description


def write_profiles(documents: Mapping[tuple[str, str], Document], directory: Path) -> tuple[Path, ...]:
    """Write the profiles that are missing or differ; return the files that changed.

    Profiles that are no longer in the source stay. Raises ConfigurationError if the directory cannot be written.
    """
    changed = []
    try:
        for (name, profile_id), document in documents.items():
            path = profile_path(directory / name, profile_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            if write_if_changed(path, format_document(document)):
                changed.append(path)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory}: {error.strerror}") from None
    return tuple(changed)


def _create_customizations(profile_id: str, template: ProfileTemplate, description: str) -> Document:
    """Return the profile in the form of the schema Customizations of openapi.yaml."""
    openscap = {"profile_id": profile_id, "profile_name": template.name, "profile_description": description}
    document: Document = {"openscap": openscap}
    if template.filesystem:
        document["filesystem"] = [
            {"mountpoint": mountpoint, "min_size": size} for mountpoint, size in template.filesystem.items()
        ]
    document["kernel"] = {"append": template.kernel}
    if template.packages:
        document["packages"] = list(template.packages)
    services = {"enabled": template.enabled, "masked": template.masked}
    if states := {state: list(names) for state, names in services.items() if names is not None}:
        document["services"] = states
    if template.fips:
        document["fips"] = {"enabled": True}
    return document


class _Size(fields.Field[int]):
    """A size: a number of bytes, or text with a unit (`3 GiB`)."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        size = size_in_bytes(value)
        if size is None:
            raise ValidationError("Not a size.")
        return size


class _ProfileSchema(Schema):
    class Meta:
        """The file is this project's own, so an unknown key is a mistake."""

        unknown = RAISE

    name = fields.String(required=True)
    description = fields.String()
    filesystem = fields.Dict(fields.String(), _Size())
    kernel = fields.String()
    packages = fields.List(fields.String())
    enabled = fields.List(fields.String())
    masked = fields.List(fields.String())
    fips = fields.Boolean()

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ProfileTemplate:
        lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
        return ProfileTemplate(**{**data, **lists})


_SETS: Final = fields.Dict(fields.String())
_SET: Final = fields.Dict(fields.String(), fields.Nested(_ProfileSchema))
_DESCRIPTIONS: Final = fields.Dict(fields.String(), fields.String())
