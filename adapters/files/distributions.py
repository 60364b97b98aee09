"""Reads the distribution directory and the allow list.

The format is that of the Go service: a distribution is a file `<name>/<name>.json`, an alias a link to a folder
(`aliases.py`). The allow list is a JSON file with regular expressions by organization.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate, validates_schema

from adapters.files.aliases import follow_alias
from adapters.files.distribution_source import SOURCE_FILE, keyrings_by_repository, load_source
from adapters.files.package_list_files import distributions_by_folder, package_list_paths, read_package_list
from adapters.files.profiles import CustomizationsValidator, list_profile_ids, profile_path, read_profile
from domain.distributions import AllowList, Architecture, BootcImage, Distribution, Repository
from domain.errors import ConfigurationError

_ARCHITECTURES = ("x86_64", "aarch64")
_NOT_EMPTY = validate.Length(min=1, error="May not be empty.")


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in a distribution directory. The service starts with warnings, but not with errors."""

    level: Literal["error", "warning"]
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def load_distributions(directory: Path) -> dict[str, Distribution]:
    """Return all distributions of the directory by folder name, including aliases.

    Raises ConfigurationError, which names all invalid files and fields.
    """
    distributions, errors = _read(directory)
    if errors:
        raise ConfigurationError("\n".join(map(str, errors)))
    return distributions


def find_problems(directory: Path, accept: CustomizationsValidator) -> list[Problem]:
    """Check the directory; return errors first, then warnings.

    `accept` validates the content of OpenSCAP profiles. Signing keys are checked only if the directory has a
    `source.yaml`, which names the keys of each repository.
    """
    distributions, problems = _read(directory)
    without_aliases = tuple(distributions_by_folder(directory, distributions).values())
    for distribution in without_aliases:
        problems.extend(_broken_package_lists(directory, distribution))
        problems.extend(_missing_package_lists(directory, distribution))
        problems.extend(_unusable_profiles(directory, distribution, accept))
    if (directory / SOURCE_FILE).is_file():
        try:
            problems.extend(_incomplete_keys(directory, without_aliases))
        except ConfigurationError as error:
            problems.append(Problem("error", str(directory / SOURCE_FILE), error.detail))
    return sorted(problems, key=lambda problem: problem.level)


def load_allow_list(path: Path | None) -> AllowList:
    """Read the allow list, `{org_id: [regex, …], "*": […]}`.

    Without a path, no organization may build restricted distributions. Raises ConfigurationError, which names the file
    and the entry.
    """
    if path is None:
        return AllowList()
    try:
        allowed = _ALLOWED.deserialize(_read_json(path))
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{path}: {fault}" for fault in _faults(error.messages))) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    return AllowList({org_id: tuple(patterns) for org_id, patterns in allowed.items()})


class _Boolean(fields.Boolean):
    """Accepts only JSON's true and false; marshmallow's own field also accepts 1 and "yes"."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Pattern(fields.String):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValidationError(f"Not a regular expression: {error}.") from None


_ALLOWED = fields.Dict(keys=fields.String(), values=fields.List(_Pattern()))


class _FileSchema(Schema):
    class Meta:
        """Files of operators may have keys that this service does not know."""

        unknown = EXCLUDE


def _text() -> fields.String:
    return fields.String(required=True, validate=_NOT_EMPTY)


def _optional_text() -> fields.String:
    return fields.String(load_default=None, allow_none=True)


def _optional_list(inner: fields.Field[Any]) -> fields.List[Any]:
    return fields.List(inner, load_default=None, allow_none=True)


class _RepositorySchema(_FileSchema):
    id = _text()
    rhsm = _Boolean(required=True)
    baseurl = _optional_text()
    metalink = _optional_text()
    gpgkey = _optional_text()
    check_gpg = _Boolean(load_default=None, allow_none=True)
    image_type_tags = _optional_list(fields.String())

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _has_one_address(self, _: Any, document: Any, **__: Any) -> None:
        if isinstance(document, dict) and bool(document.get("baseurl")) == bool(document.get("metalink")):
            raise ValidationError("Expected exactly one of baseurl and metalink.", "baseurl")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Repository:
        return Repository(
            id=data["id"],
            rhsm=data["rhsm"],
            baseurl=data["baseurl"] or None,
            metalink=data["metalink"] or None,
            gpgkey=data["gpgkey"] or None,
            check_gpg=data["check_gpg"],
            image_type_tags=tuple(data["image_type_tags"] or ()),
        )


class _BootcSchema(_FileSchema):
    type = _text()
    reference = _text()
    iso_payload_references = _optional_list(fields.String())

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> BootcImage:
        return BootcImage(data["type"], data["reference"], tuple(data["iso_payload_references"] or ()))


class _ArchitectureSchema(_FileSchema):
    image_types = _optional_list(fields.String())
    repositories = _optional_list(fields.Nested(_RepositorySchema))
    bootc = _optional_list(fields.Nested(_BootcSchema))


class _NamesSchema(_FileSchema):
    name = _text()
    composer_name = _optional_text()
    description = fields.String(required=True)
    restricted_access = _Boolean(load_default=False, allow_none=True)
    no_package_list = _Boolean(load_default=False, allow_none=True)


class _DistributionSchema(_FileSchema):
    module_platform_id = fields.String(required=True)
    oscap_name = _optional_text()
    distribution = fields.Nested(_NamesSchema, required=True)
    x86_64 = fields.Nested(_ArchitectureSchema, load_default=None, allow_none=True)
    aarch64 = fields.Nested(_ArchitectureSchema, load_default=None, allow_none=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Distribution:
        names = data["distribution"]
        return Distribution(
            name=names["name"],
            canonical_name=names["name"],
            description=names["description"],
            module_platform_id=data["module_platform_id"],
            composer_name=names["composer_name"] or None,
            oscap_name=data["oscap_name"] or None,
            restricted=bool(names["restricted_access"]),
            no_package_list=bool(names["no_package_list"]),
            architectures={
                name: Architecture(name, **{key: tuple(value or ()) for key, value in data[name].items()})
                for name in _ARCHITECTURES
                if data[name] is not None
            },
        )


def _read(directory: Path) -> tuple[dict[str, Distribution], list[Problem]]:
    """Return the valid distributions, and one error for each fault of the others."""
    try:
        entries = sorted(e for e in directory.iterdir() if not e.name.startswith("."))
    except OSError as error:
        return {}, [Problem("error", str(directory), f"not a readable directory: {error.strerror}")]
    errors = [
        Problem("error", str(entry), "a symbolic link whose target does not exist")
        for entry in entries
        if entry.is_symlink() and not entry.exists()
    ]
    folders = [entry for entry in entries if follow_alias(entry).is_dir()]
    if not folders:
        errors.append(Problem("error", str(directory), "contains no distribution"))
    by_target: dict[Path, Distribution | None] = {}
    for folder in folders:
        target = follow_alias(folder).resolve()
        if target not in by_target:
            # Errors name the folder by the path that the operator configured, without resolved links.
            path = directory / target.name if target.parent == directory.resolve() else target
            by_target[target], faults = _read_folder(path)
            errors.extend(faults)
    by_name = ((folder.name, by_target[follow_alias(folder).resolve()]) for folder in folders)
    return {name: replace(d, name=name) for name, d in by_name if d is not None}, errors


def _read_folder(folder: Path) -> tuple[Distribution | None, list[Problem]]:
    path = folder / f"{folder.name}.json"
    try:
        distribution: Distribution = _DistributionSchema().load(_read_json(path))
        profiles = list_profile_ids(folder)
    except ValidationError as error:
        return None, [Problem("error", str(path), fault) for fault in _faults(error.messages)]
    except OSError as error:
        return None, [Problem("error", error.filename or str(path), f"cannot be read: {error.strerror}")]
    return replace(distribution, name=folder.name, profiles=profiles), []


def _read_json(path: Path) -> Any:
    """Read a JSON file. Raises ValidationError if it is not JSON, OSError if it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"Not JSON: {error}.") from None


def _faults(messages: Any, place: str = "") -> Iterator[str]:
    """Format marshmallow's nested messages, such as `x86_64.repositories[0].baseurl: Not a valid string.`"""
    if not isinstance(messages, Mapping):
        for message in messages if isinstance(messages, list) else [messages]:
            yield f"{place}: {message}" if place else str(message)
        return
    for key, inner in messages.items():
        if isinstance(key, int):
            yield from _faults(inner, f"{place}[{key}]")
        elif key == "_schema" or (key in ("key", "value") and isinstance(inner, list | dict) and place):
            yield from _faults(inner, place)
        else:
            yield from _faults(inner, f"{place}.{key}" if place else str(key))


def _broken_package_lists(directory: Path, distribution: Distribution) -> Iterator[Problem]:
    for _, _, path in package_list_paths(directory, distribution):
        try:
            if path.exists():
                read_package_list(path)
        except ConfigurationError as error:
            yield Problem("error", str(path), error.detail)


def _missing_package_lists(directory: Path, distribution: Distribution) -> Iterator[Problem]:
    """Warn about repositories without a package list, except those with tags, which package search does not use."""
    if distribution.no_package_list:
        return
    missing = [
        f"{architecture} {repository.id}"
        for architecture, repository, path in package_list_paths(directory, distribution)
        if not repository.image_type_tags and not path.exists()
    ]
    if missing:
        where = str(directory / distribution.name)
        yield Problem("warning", where, f"no package list for {', '.join(missing)}: the composer searches instead")


def _unusable_profiles(
    directory: Path, distribution: Distribution, accept: CustomizationsValidator
) -> Iterator[Problem]:
    for profile_id in distribution.profiles:
        path = profile_path(directory / distribution.name, profile_id)
        try:
            if not path.exists() or "openscap" not in read_profile(path, accept):
                yield Problem(
                    "warning", str(path), "missing, or without `openscap`: requests for this profile are refused"
                )
        except ConfigurationError as error:
            yield Problem("error", str(path), error.detail)


def _incomplete_keys(directory: Path, distributions: Iterable[Distribution]) -> Iterator[Problem]:
    keyrings = keyrings_by_repository(load_source(directory / SOURCE_FILE))
    for distribution in distributions:
        incomplete = [
            f"{architecture.name} {repository.id}"
            for architecture in distribution.architectures.values()
            for repository in architecture.repositories
            if (keyring := keyrings.get((distribution.name, architecture.name, repository.id)))
            and len(keyring.fingerprints) > 1
            and (repository.gpgkey or "").startswith("https:")
        ]
        if incomplete:
            what = f"signed with several keys, but gpgkey is the address of one key: {', '.join(incomplete)}"
            yield Problem(
                "warning",
                str(directory / distribution.name),
                f"{what} (`image-builder distributions fetch-keys` adds the keys)",
            )
