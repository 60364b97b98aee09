"""Codecs for packages, package groups, modules and containers, which osbuild blueprints hold beside customizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from domain.osbuild.codecs import FLAG, NAME, TEXT, Field, ListOf, OneSided, Table, shared_field

CONTAINERS: Final = ListOf(
    Table(
        (
            shared_field("source", TEXT, required=True),
            shared_field("name", TEXT),
            Field("tls_verify", "tls-verify", FLAG, alternative_toml_key="tls_verify"),
            Field("", "local-storage", OneSided((False,))),
        )
    )
)
ENABLED_MODULES: Final = ListOf(
    Table((shared_field("name", TEXT, required=True), shared_field("stream", TEXT, required=True)))
)
_PACKAGE: Final = Table((shared_field("name", NAME, required=True), shared_field("version", TEXT)))
_PACKAGE_GROUP: Final = Table((shared_field("name", NAME, required=True),))


@dataclass(frozen=True, slots=True)
class Package:
    """A codec for packages: in the API, name and version are one text."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        package = _PACKAGE.read(value, at, unsupported)
        version = package.get("version", "")
        return package["name"] if version in {"", "*"} else f"{package['name']}-{version}"

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return _PACKAGE.write({"name": value}, at, unsupported)


@dataclass(frozen=True, slots=True)
class PackageGroup:
    """A codec for package groups: in the API, a group is a package `@name`."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return f"@{_PACKAGE_GROUP.read(value, at, unsupported)['name']}"

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return _PACKAGE_GROUP.write({"name": value.removeprefix("@")}, at, unsupported)
