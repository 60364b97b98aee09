"""osbuild blueprints in TOML to v1 customizations, and back (spec 30, a TOML blueprint)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.osbuild.codecs import ABSENT, TEXT, CannotSayError, Codec, Field, ListOf, OneSided, Table, same
from domain.osbuild.content import CONTAINERS, ENABLED_MODULES, Package, PackageGroup
from domain.osbuild.customizations import Customizations
from domain.osbuild.toml import parsed

_CUSTOMIZATIONS: Final = "customizations"
# What v1 has among the customizations and osbuild beside them.
_BESIDE: Final = Table((same("enabled_modules", ENABLED_MODULES), same("containers", CONTAINERS)))
_PACKAGES: Final = ListOf(Package())
_PACKAGE_GROUPS: Final = ListOf(PackageGroup())
_BLUEPRINT: Final = Table(
    (
        same("name", TEXT),
        same("description", TEXT),
        same("version", TEXT),
        same("distro", TEXT),
        same("packages", _PACKAGES),
        same("modules", _PACKAGES),
        same("groups", _PACKAGE_GROUPS),
        *_BESIDE.fields,
        same(_CUSTOMIZATIONS, Customizations()),
        Field("", "architecture", OneSided(("",))),
        Field("", "minimal", OneSided((False,))),
    )
)
_POLICY_ASKS_FOR: Final = ("openscap", "packages", "filesystem", "services", "kernel", "fips")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An osbuild blueprint in v1's terms.

    `name` and `description` are empty where there are none, `distribution` is as written. `customizations` fits the
    contract's `Customizations`; `unknown` are the dotted paths, in TOML's names, of all that it has no place for.
    """

    name: str
    description: str
    distribution: str | None
    customizations: dict[str, Any]
    unknown: tuple[str, ...]


def read(text: str) -> Blueprint:
    """The blueprint in a TOML document. Its own `version` is dropped.

    Raises InvalidRequestError for text that is no TOML, and for a value of the wrong type or a bad size, naming the
    field and what was expected.
    """
    unknown: list[str] = []
    found = _BLUEPRINT.read(parsed(text), "", unknown)
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
        unknown=tuple(unknown),
    )


def document(
    name: str, description: str, distribution: str | None, customizations: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The blueprint as the document that TOML is written from, and the dotted paths, in v1's names, of what an osbuild
    blueprint cannot say. Values are written as given, secrets too.
    """
    lost: list[str] = []
    beside = {field.ours for field in _BESIDE.fields}
    written = {
        "name": name,
        **({"description": description} if description else {}),
        **({"distro": distribution} if distribution else {}),
        **_packages(customizations.get("packages"), lost),
        **_part(_BESIDE, {key: one for key, one in customizations.items() if key in beside}, lost),
    }
    rest = {key: one for key, one in customizations.items() if key not in {*beside, "packages"}}
    if said := _part(Customizations(), rest, lost):
        written[_CUSTOMIZATIONS] = said
    return written, tuple(lost)


def policy_customizations(blueprint: Blueprint) -> dict[str, Any]:
    """What a compliance policy's blueprint asks for: of its customizations those that policies are checked by, and the
    profile (spec 40, `policy_customizations`).
    """
    return {key: blueprint.customizations[key] for key in _POLICY_ASKS_FOR if key in blueprint.customizations}


def _part(codec: Codec, ours: Mapping[str, Any], lost: list[str]) -> dict[str, Any]:
    written = codec.write(ours, _CUSTOMIZATIONS, lost)
    return {} if written is ABSENT else written


def _packages(names: Any, lost: list[str]) -> dict[str, Any]:
    """The lists of packages and of package groups that `names` are; an empty one only where there are no names."""
    if names is None:
        return {}
    at = f"{_CUSTOMIZATIONS}.packages"
    if not isinstance(names, list):
        lost.append(at)
        return {}
    packages: list[Any] = []
    groups: list[Any] = []
    for index, name in enumerate(names):
        is_group = isinstance(name, str) and name.startswith("@") and name != "@"
        codec, found = (PackageGroup(), groups) if is_group else (Package(), packages)
        try:
            found.append(codec.write(name, at, lost))
        except CannotSayError:
            lost.append(f"{at}[{index}]")
    return {
        **({"packages": packages} if packages or not names else {}),
        **({"groups": groups} if groups else {}),
    }
