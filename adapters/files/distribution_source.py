"""Generates the files of the distribution directory from `source.yaml`.

`source.yaml` holds keyrings, groups of repositories and one entry per distribution. Its texts may hold the placeholders
`{name}`, `{major}`, `{version}` and `{cdn}`; those of repositories also `{arch}`, and their `keys` also `{keys}`.
Entries inherit from each other with YAML's merge key (`<<:`).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from domain.errors import ConfigurationError
from domain.nulls import without_nulls

SOURCE_FILE = "source.yaml"
ARCHITECTURES = ("x86_64", "aarch64")
# Keys of an entry whose values replace the placeholders of the same name.
PLACEHOLDERS = ("major", "version", "cdn", "keys")

Document: TypeAlias = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Alias:
    """A second name of a distribution; `target` is the name of its folder."""

    target: str


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that sign a repository.

    `fingerprints` are in upper-case hexadecimal; `addresses` are the https addresses of the keys. The files hold the
    first address until `image-builder distributions fetch-keys` replaces it with the keys.
    """

    addresses: tuple[str, ...]
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepositoryTemplate:
    """A repository whose texts may hold placeholders; `keys` is the name of a keyring."""

    id: str
    baseurl: str | None = None
    metalink: str | None = None
    rhsm: bool = False
    keys: str | None = None
    check_gpg: bool | None = None
    tags: tuple[str, ...] = ()
    arches: tuple[str, ...] = ("x86_64", "aarch64")


@dataclass(frozen=True, slots=True)
class Entry:
    """One distribution of the source.

    Texts may hold placeholders; `values` are the placeholders' values. `repositories` are names of groups, `profiles`
    is the name of a set of `oscap.yaml`. `profiles_applied_to` is the name of the product if the set is written for
    another product. `image_types` and `bootc` are by architecture.
    """

    description: str
    module_platform_id: str
    composer_name: str | None = None
    oscap_name: str | None = None
    profiles: str | None = None
    profiles_applied_to: str | None = None
    restricted: bool = False
    no_package_list: bool = False
    image_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bootc: Mapping[str, tuple[Document, ...]] = field(default_factory=dict)
    repositories: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """The content of `source.yaml`."""

    keys: Mapping[str, Keyring]
    repositories: Mapping[str, tuple[RepositoryTemplate, ...]]
    distributions: Mapping[str, Entry]
    aliases: Mapping[str, str]


def load_source(path: Path) -> Source:
    """Read and check the source. Raises ConfigurationError, which names the file and the fault."""
    try:
        return parse_source(yaml.safe_load(path.read_bytes()), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {error}") from None


def parse_source(content: Any, where: str = SOURCE_FILE) -> Source:
    """Check the source; `content` is the parsed YAML. Raises ConfigurationError, which begins with `where`."""
    try:
        source: Source = _SourceSchema().load(content)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {json.dumps(error.messages)}") from None
    for alias, target in source.aliases.items():
        if target not in source.distributions or alias in source.distributions:
            raise ConfigurationError(f"{where}: aliases: {alias}: not a new name of an existing distribution: {target}")
    return source


def generate_documents(source: Source) -> dict[str, Document | Alias]:
    """Return the content of `<name>/<name>.json` of each distribution, and the aliases, by name.

    Raises ConfigurationError for an unknown group, keyring or placeholder.
    """
    documents: dict[str, Document | Alias] = {
        name: _document(source, name, entry) for name, entry in source.distributions.items()
    }
    return documents | {name: Alias(target) for name, target in source.aliases.items()}


def keyrings_by_repository(source: Source) -> dict[tuple[str, str, str], Keyring]:
    """Return the keyring of every signed repository, by distribution, architecture and repository id."""
    return {
        (name, arch, template.id): keyring
        for name, entry in source.distributions.items()
        for arch in entry.image_types
        for template, keyring in _repositories(source, name, entry, arch)
        if keyring
    }


def write_documents(documents: Mapping[str, Document | Alias], directory: Path) -> tuple[Path, ...]:
    """Write the documents and aliases that are missing or differ; return the folders and links that changed.

    Folders of distributions that are no longer in the source stay. Raises ConfigurationError if the directory cannot be
    written.
    """
    changed_paths = []
    try:
        for name, document in documents.items():
            if isinstance(document, Alias):
                changed = _write_link(directory / name, document.target)
            else:
                (directory / name).mkdir(parents=True, exist_ok=True)
                changed = write_if_changed(directory / name / f"{name}.json", format_document(document))
            if changed:
                changed_paths.append(directory / name)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directory}: {error.strerror}") from None
    return tuple(changed_paths)


def format_document(document: Document) -> str:
    """Format a document as the content of its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_if_changed(path: Path, text: str) -> bool:
    """Replace the file atomically unless it has this content; return whether it changed. Raises OSError."""
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        return False
    mode = path.stat().st_mode & 0o777 if path.is_file() else 0o644
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def _write_link(path: Path, target: str) -> bool:
    if path.is_symlink():
        if str(path.readlink()) == target:
            return False
        path.unlink()
    path.symlink_to(target, target_is_directory=True)
    return True


def _document(source: Source, name: str, entry: Entry) -> Document:
    names = {
        "name": name,
        "composer_name": entry.composer_name,
        "description": entry.description,
        "restricted_access": entry.restricted or None,
        "no_package_list": entry.no_package_list or None,
    }
    document = {
        "module_platform_id": entry.module_platform_id,
        "oscap_name": entry.oscap_name,
        "distribution": without_nulls(names),
    }
    filled: Document = fill_placeholders(without_nulls(document), _values(name, entry), name)
    return filled | {
        arch: _architecture(source, name, entry, arch)
        for arch in ARCHITECTURES
        if arch in entry.image_types or arch in entry.bootc
    }


def _architecture(source: Source, name: str, entry: Entry, arch: str) -> Document:
    architecture: Document = {}
    if arch in entry.image_types:
        architecture["image_types"] = list(entry.image_types[arch])
        architecture["repositories"] = [
            _repository(template, keyring) for template, keyring in _repositories(source, name, entry, arch)
        ]
    if arch in entry.bootc:
        architecture["bootc"] = list(entry.bootc[arch])
    filled: Document = fill_placeholders(architecture, _values(name, entry) | {"arch": arch}, name)
    return filled


def _repository(template: RepositoryTemplate, keyring: Keyring | None) -> Document:
    return without_nulls(
        {
            "id": template.id,
            "baseurl": template.baseurl,
            "metalink": template.metalink,
            "rhsm": template.rhsm,
            "gpgkey": keyring.addresses[0] if keyring else None,
            "check_gpg": True if keyring else template.check_gpg,
            "image_type_tags": list(template.tags) or None,
        }
    )


def _repositories(
    source: Source, name: str, entry: Entry, arch: str
) -> Iterator[tuple[RepositoryTemplate, Keyring | None]]:
    for group in entry.repositories:
        for template in _look_up(source.repositories, group, f"{name}: repositories"):
            if arch not in template.arches:
                continue
            keys = fill_placeholders(template.keys, _values(name, entry), name)
            yield template, _look_up(source.keys, keys, f"{name}: {template.id}: keys") if keys else None


def _look_up(entries: Mapping[str, _T], name: str, where: str) -> _T:
    if name not in entries:
        raise ConfigurationError(f"{where}: unknown {name!r}, expected one of {', '.join(sorted(entries))}")
    return entries[name]


def _values(name: str, entry: Entry) -> dict[str, str]:
    """Return the values of placeholders. A value may itself hold a placeholder (`cdn: "{version}"`)."""
    values = {"name": name, **entry.values}
    return {key: fill_placeholders(text, values, name) for key, text in values.items()}


def fill_placeholders(document: Any, values: Mapping[str, str], where: str) -> Any:
    """Replace the placeholders in all texts of the document.

    Raises ConfigurationError, which begins with `where`, for an unknown placeholder.
    """
    if isinstance(document, str):
        try:
            return document.format_map(values)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ConfigurationError(f"{where}: cannot fill in {document!r}: {error!r}") from None
    if isinstance(document, dict):
        return {key: fill_placeholders(inner, values, where) for key, inner in document.items()}
    if isinstance(document, list):
        return [fill_placeholders(inner, values, where) for inner in document]
    return document


class _Tuple(fields.List[Any]):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, attr, data, **kwargs))


class _StrictSchema(Schema):
    class Meta:
        """The file is this project's own, so an unknown key is a mistake."""

        unknown = RAISE


class _KeyringSchema(_StrictSchema):
    addresses = _Tuple(fields.Url(), required=True, validate=validate.Length(min=1))
    fingerprints = _Tuple(
        fields.String(validate=validate.Regexp(r"([0-9A-F]{40}|[0-9A-F]{64})\Z")),
        required=True,
        validate=validate.Length(min=1),
    )

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Keyring:
        return Keyring(**data)


class _RepositorySchema(_StrictSchema):
    id = fields.String(required=True)
    baseurl = fields.String()
    metalink = fields.String()
    rhsm = fields.Boolean()
    keys = fields.String()
    check_gpg = fields.Boolean()
    tags = _Tuple(fields.String())
    arches = _Tuple(fields.String(validate=validate.OneOf(ARCHITECTURES)))

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> RepositoryTemplate:
        return RepositoryTemplate(**data)


class _BootcSchema(_StrictSchema):
    type = fields.String(required=True)
    reference = fields.String(required=True)
    iso_payload_references = fields.List(fields.String())


class _EntrySchema(_StrictSchema):
    description = fields.String(required=True)
    module_platform_id = fields.String(required=True)
    composer_name = fields.String()
    oscap_name = fields.String()
    # Null for a distribution without profiles in a family with profiles.
    profiles = fields.String(allow_none=True)
    profiles_applied_to = fields.String()
    restricted = fields.Boolean()
    no_package_list = fields.Boolean()
    repositories = _Tuple(fields.String())
    image_types = fields.Dict(fields.String(validate=validate.OneOf(ARCHITECTURES)), _Tuple(fields.String()))
    bootc = fields.Dict(fields.String(validate=validate.OneOf(ARCHITECTURES)), _Tuple(fields.Nested(_BootcSchema)))
    major = fields.String()
    version = fields.String()
    cdn = fields.String()
    keys = fields.String()

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Entry:
        values = {key: data.pop(key) for key in PLACEHOLDERS if key in data}
        return Entry(values=values, **data)


class _SourceSchema(_StrictSchema):
    keys = fields.Dict(fields.String(), fields.Nested(_KeyringSchema), required=True)
    repositories = fields.Dict(fields.String(), _Tuple(fields.Nested(_RepositorySchema)), required=True)
    # Not read: both hold YAML anchors that entries refer to.
    families = fields.Raw()
    image_types = fields.Raw()
    distributions = fields.Dict(fields.String(), fields.Nested(_EntrySchema), required=True)
    aliases = fields.Dict(fields.String(), fields.String(), load_default=dict)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Source:
        used = ("keys", "repositories", "distributions", "aliases")
        return Source(**{key: data[key] for key in used})
