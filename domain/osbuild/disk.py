"""Codecs for the disk of osbuild blueprints and of the API (openapi.yaml, schema Disk)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.osbuild.codecs import (
    ABSENT,
    TEXT,
    Field,
    ListOf,
    NotExpressibleError,
    OneOf,
    OneSided,
    Table,
    as_mapping,
    expected_error,
    shared_field,
    unknown_name_error,
)
from domain.osbuild.sizes import SizeAsText

_FS_TYPE: Final = OneOf(("ext4", "xfs", "vfat", "swap"))
_MIN_SIZE: Final = shared_field("minsize", SizeAsText())
_FILE_SYSTEM: Final = (
    shared_field("mountpoint", TEXT),
    shared_field("label", TEXT),
    shared_field("fs_type", _FS_TYPE, required=True),
)
_ANY_PARTITION: Final = (
    shared_field("type", TEXT),
    shared_field("part_type", TEXT),
    _MIN_SIZE,
    Field("", "part_label", OneSided(("",))),
    Field("", "part_uuid", OneSided(("",))),
)


@dataclass(frozen=True, slots=True)
class _Sized:
    """A codec for tables that osbuild requires to have a `minsize`: it is written as 0 where the API has none."""

    table: Table

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return self.table.read(value, at, unsupported)

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        written = self.table.write(value, at, unsupported)
        return written if written is ABSENT else {**written, **({} if "minsize" in written else {"minsize": 0})}


@dataclass(frozen=True, slots=True)
class _WithList:
    """A codec for tables with a list that the API requires. osbuild reads only tables there, hence no empty list."""

    table: _Sized | Table
    key: str

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        found = self.table.read(value, at, unsupported)
        return found if self.key in found else {**found, self.key: []}

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        written = self.table.write(value, at, unsupported)
        return written if written is ABSENT or written.get(self.key) else _without(written, self.key)


def _without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


_LOGICAL_VOLUME: Final = _Sized(Table((shared_field("name", TEXT), _MIN_SIZE, *_FILE_SYSTEM)))
_SUBVOLUME: Final = Table((shared_field("name", TEXT, required=True), shared_field("mountpoint", TEXT, required=True)))
_PARTITIONS: Final[Mapping[str, _Sized | _WithList]] = {
    "plain": _Sized(Table((*_ANY_PARTITION, *_FILE_SYSTEM))),
    "btrfs": _WithList(_Sized(Table((*_ANY_PARTITION, shared_field("subvolumes", ListOf(_SUBVOLUME))))), "subvolumes"),
    "lvm": _WithList(
        _Sized(
            Table(
                (
                    *_ANY_PARTITION,
                    shared_field("name", TEXT),
                    shared_field("logical_volumes", ListOf(_LOGICAL_VOLUME)),
                )
            )
        ),
        "logical_volumes",
    ),
}
# A kind of partition that osbuild knows, and the composer has no place for.
_ENCRYPTED: Final = "luks"


@dataclass(frozen=True, slots=True)
class _Partition:
    """A codec for partitions, whose fields depend on their `type`."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        table = as_mapping(value, at)
        kind = table.get("type") or "plain"
        if kind == _ENCRYPTED:
            unsupported.append(f"{at}.type")
            return ABSENT
        if not isinstance(kind, str):
            raise expected_error(f"{at}.type", "text")
        if kind not in _PARTITIONS:
            raise unknown_name_error(f"{at}.type", kind, tuple(_PARTITIONS))
        given = table if table.get("type") else _without(table, "type")
        return _PARTITIONS[kind].read(given, at, unsupported)

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        kind = (value.get("type") or "plain") if isinstance(value, Mapping) else None
        if not isinstance(kind, str) or kind not in _PARTITIONS:
            raise NotExpressibleError
        return _PARTITIONS[kind].write(value, at, unsupported)


DISK: Final = _WithList(
    Table(
        (
            shared_field("type", OneOf(("gpt", "dos"), empty_is_absent=True)),
            _MIN_SIZE,
            shared_field("partitions", ListOf(_Partition())),
            Field("", "start_offset", OneSided((0,))),
            Field("", "sector_size", OneSided((0,))),
        )
    ),
    "partitions",
)
