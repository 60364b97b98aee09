"""Every customization of osbuild blueprints, and its place in the v1 contract's `Customizations`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.base64_data import decode_base64_text
from domain.osbuild.codecs import (
    FLAG,
    NUMBER,
    OWNER,
    TEXT,
    CannotSayError,
    Field,
    ListOf,
    OneSided,
    Table,
    as_mapping,
    expected,
    one_of,
    same,
)
from domain.osbuild.sizes import SizeAsText, SizeInBytes

_TEXTS: Final = ListOf(TEXT)
_FS_TYPE: Final = one_of("ext4", "xfs", "vfat", "swap")
_MIN_SIZE: Final = same("minsize", SizeAsText())


@dataclass(frozen=True, slots=True)
class _Partition:
    """A partition, of the kind that its `type` names."""

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        kind = as_mapping(value, at).get("type", "plain")
        table = _PARTITIONS.get(kind) if isinstance(kind, str) else None
        if table is None:
            raise expected(f"{at}.type", f"one of {', '.join(_PARTITIONS)}")
        return table.read(value, at, lost)

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        kind = (value.get("type") or "plain") if isinstance(value, Mapping) else None
        if not isinstance(kind, str) or kind not in _PARTITIONS:
            raise CannotSayError
        return _PARTITIONS[kind].write(value, at, lost)


@dataclass(frozen=True, slots=True)
class _File:
    """A file: its data is text in TOML, which a file of other bytes is not."""

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        return _FILE.read(value, at, lost)

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        if isinstance(value, Mapping) and value.get("data_encoding") == "base64":
            value = {key: one for key, one in value.items() if key != "data_encoding"}
            if value.get("data") is not None:
                value["data"] = _decoded(value["data"])
        return _FILE.write(value, at, lost)


def _decoded(data: Any) -> str:
    if not isinstance(data, str):
        raise CannotSayError
    try:
        return decode_base64_text(data)
    except ValueError:
        raise CannotSayError from None


@dataclass(frozen=True, slots=True)
class _Fips:
    """A flag in TOML, a table of one in v1."""

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        return {"enabled": FLAG.read(value, at, lost)}

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, Mapping):
            raise CannotSayError
        return FLAG.write(value.get("enabled", False), at, lost)


_FILE_SYSTEM: Final = (
    same("mountpoint", TEXT),
    same("label", TEXT),
    same("fs_type", _FS_TYPE, required=True),
)
_ANY_PARTITION: Final = (
    same("part_type", TEXT),
    _MIN_SIZE,
    Field("", "part_label", OneSided(("",))),
    Field("", "part_uuid", OneSided(("",))),
)
_LOGICAL_VOLUME: Final = Table((same("name", TEXT), _MIN_SIZE, *_FILE_SYSTEM))
_SUBVOLUME: Final = Table((same("name", TEXT, required=True), same("mountpoint", TEXT, required=True)))
_PARTITIONS: Final[Mapping[str, Table]] = {
    "plain": Table((same("type", TEXT), *_ANY_PARTITION, *_FILE_SYSTEM)),
    "btrfs": Table((same("type", TEXT), *_ANY_PARTITION, same("subvolumes", ListOf(_SUBVOLUME), required=True))),
    "lvm": Table(
        (
            same("type", TEXT),
            *_ANY_PARTITION,
            same("name", TEXT),
            same("logical_volumes", ListOf(_LOGICAL_VOLUME), required=True),
        )
    ),
}
_NODE: Final = (
    same("path", TEXT, required=True),
    same("mode", TEXT),
    same("user", OWNER),
    same("group", OWNER),
)
_FILE: Final = Table(
    (
        *_NODE,
        same("data", TEXT),
        Field("data_encoding", "", OneSided(("plain",))),
        Field("ensure_parents", "", OneSided((False,))),
    )
)
_DISK: Final = Table(
    (
        same("type", one_of("gpt", "dos")),
        _MIN_SIZE,
        same("partitions", ListOf(_Partition()), required=True),
        Field("", "start_offset", OneSided((0,))),
        Field("", "sector_size", OneSided((0,))),
    )
)
_FILESYSTEM: Final = Table(
    (
        same("mountpoint", TEXT, required=True),
        Field("min_size", "minsize", SizeInBytes(), required=True, older="size"),
    )
)
_USER: Final = Table(
    (
        same("name", TEXT, required=True),
        same("password", TEXT),
        Field("ssh_key", "key", TEXT),
        same("groups", _TEXTS),
        # Says of an answer what the password itself would say.
        Field("hasPassword", "", OneSided((True, False))),
    )
)
_REPOSITORY: Final = Table(
    (
        same("id", TEXT, required=True),
        same("name", TEXT),
        same("filename", TEXT),
        Field("baseurl", "baseurls", _TEXTS),
        same("mirrorlist", TEXT),
        same("metalink", TEXT),
        Field("gpgkey", "gpgkeys", _TEXTS),
        Field("check_gpg", "gpgcheck", FLAG),
        Field("check_repo_gpg", "repo_gpgcheck", FLAG),
        same("enabled", FLAG),
        same("priority", NUMBER),
        # Documented by the second name, read by osbuild under the first.
        Field("ssl_verify", "sslverify", FLAG, older="ssl_verify"),
        same("module_hotfixes", FLAG),
        Field("", "install_from", OneSided((False,))),
    )
)
_FIREWALL: Final = Table(
    (
        same("ports", _TEXTS),
        same("services", Table((same("enabled", _TEXTS), same("disabled", _TEXTS)))),
        Field("", "zones", OneSided(([],))),
    )
)
_IGNITION: Final = Table(
    (
        same("embedded", Table((same("config", TEXT, required=True),))),
        same(
            "firstboot",
            Table((same("url", TEXT, required=True), Field("", "empty", OneSided((False,))))),
        ),
    )
)
_FDO: Final = Table(
    tuple(
        same(name, TEXT)
        for name in (
            *("manufacturing_server_url", "diun_pub_key_insecure", "diun_pub_key_hash"),
            "diun_pub_key_root_certs",
        )
    )
)
_CUSTOMIZATIONS: Final = Table(
    (
        same("hostname", TEXT),
        same("kernel", Table((same("name", TEXT), same("append", TEXT)))),
        Field("users", "user", ListOf(_USER)),
        Field("groups", "group", ListOf(Table((same("name", TEXT, required=True), same("gid", NUMBER))))),
        same("timezone", Table((same("timezone", TEXT), same("ntpservers", _TEXTS)))),
        same("locale", Table((same("languages", _TEXTS), same("keyboard", TEXT)))),
        same("firewall", _FIREWALL),
        same("services", Table(tuple(same(name, _TEXTS) for name in ("enabled", "disabled", "masked")))),
        same("filesystem", ListOf(_FILESYSTEM)),
        same("disk", _DISK),
        same("installation_device", TEXT),
        same("partitioning_mode", one_of("raw", "lvm", "auto-lvm")),
        same("fdo", _FDO),
        same("openscap", Table((same("profile_id", TEXT, required=True),))),
        same("ignition", _IGNITION),
        same("directories", ListOf(Table((*_NODE, same("ensure_parents", FLAG))))),
        same("files", ListOf(_File())),
        Field("custom_repositories", "repositories", ListOf(_REPOSITORY)),
        same("fips", _Fips()),
        same("installer", Table((same("unattended", FLAG), same("sudo-nopasswd", _TEXTS)))),
        same("cacerts", Table((same("pem_certs", _TEXTS, required=True),))),
        Field("payload_repositories", "", OneSided(([],))),
    )
)
_SSH_KEYS: Final = ListOf(
    Table((Field("name", "user", TEXT, required=True), Field("ssh_key", "key", TEXT, required=True)))
)


@dataclass(frozen=True, slots=True)
class Customizations:
    """The table `customizations`; a key of `sshkey` is its user's, who is made where there is none."""

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        table = as_mapping(value, at)
        ours = _CUSTOMIZATIONS.read({key: one for key, one in table.items() if key != "sshkey"}, at, lost)
        if "sshkey" in table:
            path = f"{at}.sshkey"
            users = _with_keys(ours.get("users", []), _SSH_KEYS.read(table["sshkey"], path, lost), path, lost)
            return {**ours, **({"users": users} if users else {})}
        return ours

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        return _CUSTOMIZATIONS.write(value, at, lost)


def _with_keys(
    users: list[dict[str, Any]], keys: list[dict[str, Any]], at: str, lost: list[str]
) -> list[dict[str, Any]]:
    """`users`, each with its key, after those who have only a key; a second key of one user is lost."""
    by_name: dict[str, dict[str, Any]] = {}
    for user in users:
        by_name.setdefault(user["name"], user)
    made: list[dict[str, Any]] = []
    for index, key in enumerate(keys):
        user = by_name.setdefault(key["name"], key)
        if user is key:
            made.append(key)
        elif user.setdefault("ssh_key", key["ssh_key"]) != key["ssh_key"]:
            lost.append(f"{at}[{index}]")
    return [*made, *users]
