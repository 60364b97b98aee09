"""What osbuild blueprints list beside their customizations: packages, groups, modules, containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from domain.osbuild.codecs import FLAG, NAME, TEXT, Field, ListOf, OneSided, Table, same

CONTAINERS: Final = ListOf(
    Table(
        (
            same("source", TEXT, required=True),
            same("name", TEXT),
            Field("tls_verify", "tls-verify", FLAG),
            Field("", "local-storage", OneSided((False,))),
        )
    )
)
ENABLED_MODULES: Final = ListOf(Table((same("name", TEXT, required=True), same("stream", TEXT, required=True))))
_PACKAGE: Final = Table((same("name", NAME, required=True), same("version", TEXT)))
_PACKAGE_GROUP: Final = Table((same("name", NAME, required=True),))


@dataclass(frozen=True, slots=True)
class Package:
    """A package: name and version are one text in v1."""

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        package = _PACKAGE.read(value, at, lost)
        version = package.get("version", "")
        return package["name"] if version in {"", "*"} else f"{package['name']}-{version}"

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        return _PACKAGE.write({"name": value}, at, lost)


@dataclass(frozen=True, slots=True)
class PackageGroup:
    """A package group: a package `@name` in v1."""

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        return f"@{_PACKAGE_GROUP.read(value, at, lost)['name']}"

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        return _PACKAGE_GROUP.write({"name": value.removeprefix("@")}, at, lost)
