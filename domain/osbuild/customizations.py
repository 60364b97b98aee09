"""Codecs for all customizations of osbuild blueprints and of the API (openapi.yaml, schema Customizations)."""

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
    Field,
    ListOf,
    NotExpressibleError,
    OneSided,
    Table,
    as_mapping,
    expected_error,
    one_of,
    shared_field,
)
from domain.osbuild.sizes import SizeAsText, SizeInBytes

_TEXTS: Final = ListOf(TEXT)
_FS_TYPE: Final = one_of("ext4", "xfs", "vfat", "swap")
_MIN_SIZE: Final = shared_field("minsize", SizeAsText())


@dataclass(frozen=True, slots=True)
class _Partition:
    """A codec for partitions, whose fields depend on their `type`."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        kind = as_mapping(value, at).get("type", "plain")
        table = _PARTITIONS.get(kind) if isinstance(kind, str) else None
        if table is None:
            raise expected_error(f"{at}.type", f"one of {', '.join(_PARTITIONS)}")
        return table.read(value, at, unsupported)

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        kind = (value.get("type") or "plain") if isinstance(value, Mapping) else None
        if not isinstance(kind, str) or kind not in _PARTITIONS:
            raise NotExpressibleError
        return _PARTITIONS[kind].write(value, at, unsupported)


@dataclass(frozen=True, slots=True)
class _File:
    """A codec for files: in TOML their data is text, so binary data cannot be written."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return _FILE.read(value, at, unsupported)

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if isinstance(value, Mapping) and value.get("data_encoding") == "base64":
            value = {key: one for key, one in value.items() if key != "data_encoding"}
            if value.get("data") is not None:
                value["data"] = _decode(value["data"])
        return _FILE.write(value, at, unsupported)


def _decode(data: Any) -> str:
    if not isinstance(data, str):
        raise NotExpressibleError
    try:
        return decode_base64_text(data)
    except ValueError:
        raise NotExpressibleError from None


@dataclass(frozen=True, slots=True)
class _Fips:
    """A codec for `fips`: a flag in TOML, a table with one flag in the API."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return {"enabled": FLAG.read(value, at, unsupported)}

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, Mapping):
            raise NotExpressibleError
        return FLAG.write(value.get("enabled", False), at, unsupported)


_FILE_SYSTEM: Final = (
    shared_field("mountpoint", TEXT),
    shared_field("label", TEXT),
    shared_field("fs_type", _FS_TYPE, required=True),
)
_ANY_PARTITION: Final = (
    shared_field("part_type", TEXT),
    _MIN_SIZE,
    Field("", "part_label", OneSided(("",))),
    Field("", "part_uuid", OneSided(("",))),
)
_LOGICAL_VOLUME: Final = Table((shared_field("name", TEXT), _MIN_SIZE, *_FILE_SYSTEM))
_SUBVOLUME: Final = Table((shared_field("name", TEXT, required=True), shared_field("mountpoint", TEXT, required=True)))
_PARTITIONS: Final[Mapping[str, Table]] = {
    "plain": Table((shared_field("type", TEXT), *_ANY_PARTITION, *_FILE_SYSTEM)),
    "btrfs": Table(
        (shared_field("type", TEXT), *_ANY_PARTITION, shared_field("subvolumes", ListOf(_SUBVOLUME), required=True))
    ),
    "lvm": Table(
        (
            shared_field("type", TEXT),
            *_ANY_PARTITION,
            shared_field("name", TEXT),
            shared_field("logical_volumes", ListOf(_LOGICAL_VOLUME), required=True),
        )
    ),
}
_NODE: Final = (
    shared_field("path", TEXT, required=True),
    shared_field("mode", TEXT),
    shared_field("user", OWNER),
    shared_field("group", OWNER),
)
_FILE: Final = Table(
    (
        *_NODE,
        shared_field("data", TEXT),
        Field("data_encoding", "", OneSided(("plain",))),
        Field("ensure_parents", "", OneSided((False,))),
    )
)
_DISK: Final = Table(
    (
        shared_field("type", one_of("gpt", "dos")),
        _MIN_SIZE,
        shared_field("partitions", ListOf(_Partition()), required=True),
        Field("", "start_offset", OneSided((0,))),
        Field("", "sector_size", OneSided((0,))),
    )
)
_FILESYSTEM: Final = Table(
    (
        shared_field("mountpoint", TEXT, required=True),
        Field("min_size", "minsize", SizeInBytes(), required=True, old_toml_key="size"),
    )
)
_USER: Final = Table(
    (
        shared_field("name", TEXT, required=True),
        shared_field("password", TEXT),
        Field("ssh_key", "key", TEXT),
        shared_field("groups", _TEXTS),
        # Only in answers of the API, in place of the password.
        Field("hasPassword", "", OneSided((True, False))),
    )
)
_REPOSITORY: Final = Table(
    (
        shared_field("id", TEXT, required=True),
        shared_field("name", TEXT),
        shared_field("filename", TEXT),
        Field("baseurl", "baseurls", _TEXTS),
        shared_field("mirrorlist", TEXT),
        shared_field("metalink", TEXT),
        Field("gpgkey", "gpgkeys", _TEXTS),
        Field("check_gpg", "gpgcheck", FLAG),
        Field("check_repo_gpg", "repo_gpgcheck", FLAG),
        shared_field("enabled", FLAG),
        shared_field("priority", NUMBER),
        # osbuild reads `sslverify`; its documentation names `ssl_verify`.
        Field("ssl_verify", "sslverify", FLAG, old_toml_key="ssl_verify"),
        shared_field("module_hotfixes", FLAG),
        Field("", "install_from", OneSided((False,))),
    )
)
_FIREWALL: Final = Table(
    (
        shared_field("ports", _TEXTS),
        shared_field("services", Table((shared_field("enabled", _TEXTS), shared_field("disabled", _TEXTS)))),
        Field("", "zones", OneSided(([],))),
    )
)
_IGNITION: Final = Table(
    (
        shared_field("embedded", Table((shared_field("config", TEXT, required=True),))),
        shared_field(
            "firstboot",
            Table((shared_field("url", TEXT, required=True), Field("", "empty", OneSided((False,))))),
        ),
    )
)
_FDO: Final = Table(
    tuple(
        shared_field(name, TEXT)
        for name in (
            *("manufacturing_server_url", "diun_pub_key_insecure", "diun_pub_key_hash"),
            "diun_pub_key_root_certs",
        )
    )
)
_CUSTOMIZATIONS: Final = Table(
    (
        shared_field("hostname", TEXT),
        shared_field("kernel", Table((shared_field("name", TEXT), shared_field("append", TEXT)))),
        Field("users", "user", ListOf(_USER)),
        Field(
            "groups", "group", ListOf(Table((shared_field("name", TEXT, required=True), shared_field("gid", NUMBER))))
        ),
        shared_field("timezone", Table((shared_field("timezone", TEXT), shared_field("ntpservers", _TEXTS)))),
        shared_field("locale", Table((shared_field("languages", _TEXTS), shared_field("keyboard", TEXT)))),
        shared_field("firewall", _FIREWALL),
        shared_field(
            "services", Table(tuple(shared_field(name, _TEXTS) for name in ("enabled", "disabled", "masked")))
        ),
        shared_field("filesystem", ListOf(_FILESYSTEM)),
        shared_field("disk", _DISK),
        shared_field("installation_device", TEXT),
        shared_field("partitioning_mode", one_of("raw", "lvm", "auto-lvm")),
        shared_field("fdo", _FDO),
        shared_field("openscap", Table((shared_field("profile_id", TEXT, required=True),))),
        shared_field("ignition", _IGNITION),
        shared_field("directories", ListOf(Table((*_NODE, shared_field("ensure_parents", FLAG))))),
        shared_field("files", ListOf(_File())),
        Field("custom_repositories", "repositories", ListOf(_REPOSITORY)),
        shared_field("fips", _Fips()),
        shared_field("installer", Table((shared_field("unattended", FLAG), shared_field("sudo-nopasswd", _TEXTS)))),
        shared_field("cacerts", Table((shared_field("pem_certs", _TEXTS, required=True),))),
        Field("payload_repositories", "", OneSided(([],))),
    )
)
_SSH_KEYS: Final = ListOf(
    Table((Field("name", "user", TEXT, required=True), Field("ssh_key", "key", TEXT, required=True)))
)


@dataclass(frozen=True, slots=True)
class Customizations:
    """A codec for the table `customizations`.

    Keys of the list `sshkey` become keys of users, which are created if they are missing.
    """

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        table = as_mapping(value, at)
        customizations = _CUSTOMIZATIONS.read(
            {key: one for key, one in table.items() if key != "sshkey"}, at, unsupported
        )
        if "sshkey" in table:
            path = f"{at}.sshkey"
            users = _with_keys(
                customizations.get("users", []), _SSH_KEYS.read(table["sshkey"], path, unsupported), path, unsupported
            )
            return {**customizations, **({"users": users} if users else {})}
        return customizations

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return _CUSTOMIZATIONS.write(value, at, unsupported)


def _with_keys(
    users: list[dict[str, Any]], keys: list[dict[str, Any]], at: str, unsupported: list[str]
) -> list[dict[str, Any]]:
    """Add keys to users. Users that have only a key come first; a second key of a user is unsupported."""
    by_name: dict[str, dict[str, Any]] = {}
    for user in users:
        by_name.setdefault(user["name"], user)
    created: list[dict[str, Any]] = []
    for index, key in enumerate(keys):
        user = by_name.setdefault(key["name"], key)
        if user is key:
            created.append(key)
        elif user.setdefault("ssh_key", key["ssh_key"]) != key["ssh_key"]:
            unsupported.append(f"{at}[{index}]")
    return [*created, *users]
