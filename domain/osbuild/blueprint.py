"""Parses osbuild blueprints in TOML, and converts blueprints of the API to osbuild blueprints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.osbuild.codecs import (
    ABSENT,
    TEXT,
    Codec,
    Field,
    ListOf,
    NotExpressibleError,
    OneOf,
    OneSided,
    Table,
    shared_field,
)
from domain.osbuild.content import CONTAINERS, ENABLED_MODULES, Package, PackageGroup
from domain.osbuild.customizations import Customizations
from domain.osbuild.toml import parse_toml

_CUSTOMIZATIONS: Final = "customizations"
# Fields that are customizations in the API, and stand beside the customizations in osbuild blueprints.
_TOP_LEVEL: Final = Table((shared_field("enabled_modules", ENABLED_MODULES), shared_field("containers", CONTAINERS)))
_PACKAGES: Final = ListOf(Package())
_PACKAGE_GROUPS: Final = ListOf(PackageGroup())
_BLUEPRINT: Final = Table(
    (
        shared_field("name", TEXT),
        shared_field("description", TEXT),
        shared_field("version", TEXT),
        shared_field("distro", TEXT),
        shared_field("packages", _PACKAGES),
        shared_field("modules", _PACKAGES),
        shared_field("groups", _PACKAGE_GROUPS),
        *_TOP_LEVEL.fields,
        shared_field(_CUSTOMIZATIONS, Customizations()),
        shared_field("architecture", OneOf(("x86_64", "aarch64"), empty_is_absent=True)),
        Field("", "minimal", OneSided((False,))),
    )
)
# Keys that osbuild knows and the composer has no place for, with everything below them, without indexes of lists.
_UNBUILDABLE: Final = re.compile(
    r"minimal|containers\.local-storage|customizations\.(?:"
    r"iso|bootloader|sshd|firstboot|containers-storage|installer\.(?:kickstart|modules|menu-timeout)"
    r"|user\.(?:expiredate|force_password_reset)|repositories\.install_from|ignition\.firstboot\.empty"
    r"|openscap\.policy_id|disk\.(?:start_offset|sector_size)"
    r"|disk\.partitions\.(?:type|part_label|part_uuid|(?:.*\.)?(?:luks|encryption|passphrase|clevis))"
    r")(?:\..*)?"
)
_INDEX: Final = re.compile(r"\[[0-9]+\]")
# The customizations with which compliance policies are concerned.
_POLICY_CUSTOMIZATIONS: Final = ("openscap", "packages", "filesystem", "services", "kernel", "fips")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An osbuild blueprint in the form of the API.

    `name` and `description` are empty if missing, `architecture` and `version` None. `distribution` is the text of the
    blueprint. `customizations` has the form of the schema Customizations in openapi.yaml. `unknown` are the dotted
    paths of keys that no osbuild blueprint has, `unbuildable` those of keys that the composer has no place for.
    """

    name: str
    description: str
    distribution: str | None
    customizations: dict[str, Any]
    unknown: tuple[str, ...] = ()
    unbuildable: tuple[str, ...] = ()
    architecture: str | None = None
    version: str | None = None


def parse_blueprint(text: str) -> Blueprint:
    """Parse an osbuild blueprint in TOML.

    Raises InvalidRequestError if the text is no TOML, or naming the field and what is allowed if a value has a wrong
    type or size.
    """
    unsupported: list[str] = []
    found = _BLUEPRINT.read(parse_toml(text), "", unsupported)
    packages = [*found.get("packages", ()), *found.get("modules", ()), *found.get("groups", ())]
    customizations = {
        **({"packages": packages} if packages or "packages" in found else {}),
        **{key: found[key] for key in ("enabled_modules", "containers") if key in found},
        **found.get(_CUSTOMIZATIONS, {}),
    }
    return Blueprint(
        name=found.get("name", ""),
        description=found.get("description", ""),
        distribution=found.get("distro") or None,
        customizations=customizations,
        unknown=tuple(path for path in unsupported if not _is_unbuildable(path)),
        unbuildable=tuple(path for path in unsupported if _is_unbuildable(path)),
        architecture=found.get("architecture"),
        version=found.get("version") or None,
    )


def _is_unbuildable(path: str) -> bool:
    return _UNBUILDABLE.fullmatch(_INDEX.sub("", path)) is not None


def to_osbuild_document(
    name: str,
    description: str,
    distribution: str | None,
    customizations: Mapping[str, Any],
    *,
    architecture: str | None = None,
    version: str | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Convert a blueprint of the API to an osbuild blueprint, as a document that can be written as TOML.

    `version` is that of the file it came from. Returns it with the dotted paths, by the API's names, of fields that
    osbuild blueprints do not support. Values are copied unchanged, including secrets.
    """
    unsupported: list[str] = []
    top_level = {field.api_key for field in _TOP_LEVEL.fields}
    blueprint = {
        "name": name,
        **({"description": description} if description else {}),
        **({"version": version} if version else {}),
        **({"distro": distribution} if distribution else {}),
        **({"architecture": architecture} if architecture else {}),
        **_packages(customizations.get("packages"), unsupported),
        **_write_table(_TOP_LEVEL, {key: one for key, one in customizations.items() if key in top_level}, unsupported),
    }
    rest = {key: one for key, one in customizations.items() if key not in {*top_level, "packages"}}
    if osbuild_customizations := _write_table(Customizations(), rest, unsupported):
        blueprint[_CUSTOMIZATIONS] = osbuild_customizations
    return blueprint, tuple(unsupported)


def policy_customizations(blueprint: Blueprint) -> dict[str, Any]:
    """The customizations that a compliance policy's blueprint requires, among those that policies check."""
    return {key: blueprint.customizations[key] for key in _POLICY_CUSTOMIZATIONS if key in blueprint.customizations}


def _write_table(codec: Codec, fields: Mapping[str, Any], unsupported: list[str]) -> dict[str, Any]:
    written = codec.write(fields, _CUSTOMIZATIONS, unsupported)
    return {} if written is ABSENT else written


def _packages(names: Any, unsupported: list[str]) -> dict[str, Any]:
    """Divide the names into a list of packages and a list of package groups. Only an empty list gives an empty list."""
    if names is None:
        return {}
    at = f"{_CUSTOMIZATIONS}.packages"
    if not isinstance(names, list):
        unsupported.append(at)
        return {}
    packages: list[Any] = []
    groups: list[Any] = []
    for index, name in enumerate(names):
        is_group = isinstance(name, str) and name.startswith("@") and name != "@"
        codec, found = (PackageGroup(), groups) if is_group else (Package(), packages)
        try:
            found.append(codec.write(name, at, unsupported))
        except NotExpressibleError:
            unsupported.append(f"{at}[{index}]")
    return {
        **({"packages": packages} if packages or not names else {}),
        **({"groups": groups} if groups else {}),
    }
