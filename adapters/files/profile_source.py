"""The compact source of the OpenSCAP profiles, and what it expands to.

`oscap.yaml` holds sets of profiles, which entries of `source.yaml` name in `profiles`. A profile has the `name` that
people know, and what it asks for: `filesystem` (mount point to size), `kernel` (arguments), `packages`, services
`enabled` and `masked`, and `fips`. `descriptions` holds a description for each profile of all sets; a profile's own
`description` wins. Descriptions may hold the placeholders of `source.yaml`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, post_load

from adapters.files.distribution_source import Document, Entry, Source, as_text, fill_in, write_if_changed
from adapters.files.profiles import profile_path
from domain.errors import ConfigurationError
from domain.osbuild.sizes import size_in_bytes

PROFILES_FILE: Final = "oscap.yaml"
_ID_PREFIX: Final = "xccdf_org.ssgproject.content_profile_"


@dataclass(frozen=True, slots=True)
class ProfileTemplate:
    """A profile of the source; sizes are in bytes, by mount point. A list of services may be there and empty."""

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
    """The sets by name, their profiles by short id; the descriptions of profiles that have none of their own."""

    sets: Mapping[str, Mapping[str, ProfileTemplate]]
    descriptions: Mapping[str, str]


def load_profile_sets(path: Path) -> ProfileSets:
    """The sets of the file. Raises `ConfigurationError`."""
    try:
        return parse_profile_sets(yaml.safe_load(path.read_bytes()), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {error}") from None


def parse_profile_sets(content: Any, where: str = PROFILES_FILE) -> ProfileSets:
    """The sets from their YAML as Python objects. Raises `ConfigurationError`."""
    try:
        read = _SETS.deserialize(content)
        descriptions = _DESCRIPTIONS.deserialize(read.pop("descriptions", {}))
        sets = {name: _SET.deserialize(profiles) for name, profiles in read.items()}
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {json.dumps(error.messages)}") from None
    return ProfileSets(sets, descriptions)


def expand_profiles(source: Source, sets: ProfileSets) -> dict[tuple[str, str], Document]:
    """Each profile's customizations, by the distribution's name and the profile's id; aliases have none of their own.

    Raises `ConfigurationError` for an unknown set or placeholder, and for a profile without a description.
    """
    documents = {}
    for name, entry in source.distributions.items():
        if entry.profiles is None:
            continue
        if entry.profiles not in sets.sets:
            raise ConfigurationError(
                f"{name}: profiles: there is no {entry.profiles!r}, only {', '.join(sorted(sets.sets))}"
            )
        for short, template in sets.sets[entry.profiles].items():
            profile_id = _ID_PREFIX + short
            text = template.description or sets.descriptions.get(short)
            if not text:
                raise ConfigurationError(f"{name}: {short}: has no description")
            documents[name, profile_id] = _customizations(profile_id, template, _description(text, name, entry))
    return documents


def _description(text: str, name: str, entry: Entry) -> str:
    description: str = fill_in(text, entry.values, name)
    return f"{description} Applied to {entry.profiles_applied_to}." if entry.profiles_applied_to else description


def write_profiles(documents: Mapping[tuple[str, str], Document], directory: Path) -> tuple[Path, ...]:
    """Write each profile that is not there yet as it should be; returns the files that were written.

    Profiles the source no longer has are left alone. Raises `ConfigurationError` when the directory cannot be written.
    """
    written = []
    try:
        for (name, profile_id), document in documents.items():
            path = profile_path(directory / name, profile_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            if write_if_changed(path, as_text(document)):
                written.append(path)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory}: {error.strerror}") from None
    return tuple(written)


def _customizations(profile_id: str, template: ProfileTemplate, description: str) -> Document:
    """As the contract's Customizations."""
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
    if given := {state: list(names) for state, names in services.items() if names is not None}:
        document["services"] = given
    if template.fips:
        document["fips"] = {"enabled": True}
    return document


class _Size(fields.Field[int]):
    """Bytes, or text with a unit (`3 GiB`)."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        size = size_in_bytes(value)
        if size is None:
            raise ValidationError("Not a size.")
        return size


class _ProfileSchema(Schema):
    class Meta:
        """A key we do not know is a slip of the pen."""

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
