"""The codec for the table `customizations` of osbuild blueprints and the API's schema Customizations (openapi.yaml).

A `Field` names its API key first, then its TOML key. `shared_field` has the same key on both sides.
"""

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
    OneOf,
    OneSided,
    OptionalText,
    Table,
    as_mapping,
    shared_field,
)
from domain.osbuild.disk import DISK
from domain.osbuild.sizes import SizeInBytes
from domain.osbuild.users import USERS, add_ssh_keys

_TEXTS: Final = ListOf(TEXT)


@dataclass(frozen=True, slots=True)
class _File:
    """A codec for one item of `files`.

    Files in osbuild blueprints contain text, without an encoding. Therefore base64 data of the API is written decoded
    if it is UTF-8 text. A file with other base64 data cannot be expressed. Reading also accepts the API's keys
    `data_encoding` and `ensure_parents`.
    """

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return _FILE.read(value, at, unsupported)

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if isinstance(value, Mapping):
            is_base64 = value.get("data_encoding") == "base64" and value.get("data") is not None
            value = {
                **{key: field_value for key, field_value in value.items() if not _is_omitted(key, field_value)},
                **({"data": _decode(value["data"])} if is_base64 else {}),
            }
        return _FILE.write(value, at, unsupported)


def _is_omitted(key: str, value: Any) -> bool:
    """Whether a field of a file is not written to TOML.

    `data_encoding` has no meaning there, because the data is written decoded; `ensure_parents` is false by default.
    """
    return (key == "data_encoding" and value in ("plain", "base64")) or (key == "ensure_parents" and value is False)


def _decode(data: Any) -> str:
    if not isinstance(data, str):
        raise NotExpressibleError
    try:
        return decode_base64_text(data)
    except ValueError:
        raise NotExpressibleError from None


@dataclass(frozen=True, slots=True)
class _Fips:
    """A codec for `fips`: true or false in TOML, an object with the flag `enabled` (default false) in the API."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return {"enabled": FLAG.read(value, at, unsupported)}

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, Mapping):
            raise NotExpressibleError
        return FLAG.write(value.get("enabled", False), at, unsupported)


# The fields that files and directories have in common.
_FILE_OR_DIRECTORY: Final = (
    shared_field("path", TEXT, required=True),
    shared_field("mode", OptionalText()),
    shared_field("user", OWNER),
    shared_field("group", OWNER),
)
_FILE: Final = Table(
    (
        *_FILE_OR_DIRECTORY,
        shared_field("data", TEXT),
        shared_field("data_encoding", OneOf(("plain", "base64"), empty_is_absent=True)),
        shared_field("ensure_parents", FLAG),
    )
)
_FILESYSTEM: Final = Table(
    (
        shared_field("mountpoint", TEXT, required=True),
        Field("min_size", "minsize", SizeInBytes(), required=True, alternative_toml_key="size"),
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
        Field("ssl_verify", "sslverify", FLAG, alternative_toml_key="ssl_verify"),
        shared_field("module_hotfixes", FLAG),
        Field("", "install_from", OneSided((False,))),
    )
)
_FIREWALL: Final = Table(
    (
        shared_field("ports", _TEXTS),
        shared_field("services", Table((shared_field("enabled", _TEXTS), shared_field("disabled", _TEXTS)))),
        shared_field("zones", ListOf(Table((shared_field("name", TEXT), shared_field("sources", _TEXTS))))),
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
# FIDO Device Onboard
_FDO: Final = Table(
    tuple(
        shared_field(name, TEXT)
        for name in (
            *("manufacturing_server_url", "diun_pub_key_insecure", "diun_pub_key_hash"),
            *("diun_pub_key_root_certs", "di_mfg_string_type_mac_iface"),
        )
    )
)
_OPENSCAP: Final = Table(
    (
        shared_field("profile_id", TEXT, required=True),
        shared_field("datastream", TEXT),
        shared_field("tailoring", Table((shared_field("selected", _TEXTS), shared_field("unselected", _TEXTS)))),
        shared_field(
            "json_tailoring",
            Table((shared_field("profile_id", TEXT, required=True), shared_field("filepath", TEXT, required=True))),
        ),
    )
)
_RPM: Final = Table((shared_field("import_keys", Table((shared_field("files", _TEXTS),))),))
_ENABLED: Final = Table((shared_field("enabled", FLAG),))
_SUBSCRIPTION_MANAGER: Final = Table(
    (
        shared_field(
            "rhsm", Table((shared_field("manage_repos", FLAG), shared_field("auto_enable_yum_plugins", FLAG)))
        ),
        shared_field("rhsmcertd", Table((shared_field("auto_registration", FLAG),))),
    )
)
_RHSM: Final = Table(
    (
        shared_field(
            "config",
            Table(
                (
                    shared_field(
                        "dnf_plugins",
                        Table((shared_field("product_id", _ENABLED), shared_field("subscription_manager", _ENABLED))),
                    ),
                    shared_field("subscription_manager", _SUBSCRIPTION_MANAGER),
                )
            ),
        ),
    )
)
_DNF: Final = Table((shared_field("config", Table((shared_field("set_releasever", FLAG),))),))
_CUSTOMIZATIONS: Final = Table(
    (
        shared_field("hostname", TEXT),
        shared_field("kernel", Table((shared_field("name", TEXT), shared_field("append", TEXT)))),
        Field("users", "user", USERS),
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
        shared_field("disk", DISK),
        shared_field("installation_device", TEXT),
        shared_field("partitioning_mode", OneOf(("raw", "lvm", "auto-lvm"), empty_is_absent=True)),
        shared_field("fdo", _FDO),
        shared_field("openscap", _OPENSCAP),
        shared_field("ignition", _IGNITION),
        shared_field("directories", ListOf(Table((*_FILE_OR_DIRECTORY, shared_field("ensure_parents", FLAG))))),
        shared_field("files", ListOf(_File())),
        Field("custom_repositories", "repositories", ListOf(_REPOSITORY)),
        shared_field("fips", _Fips()),
        shared_field("installer", Table((shared_field("unattended", FLAG), shared_field("sudo-nopasswd", _TEXTS)))),
        shared_field("rpm", _RPM),
        shared_field("rhsm", _RHSM),
        shared_field("dnf", _DNF),
        shared_field("cacerts", Table((shared_field("pem_certs", _TEXTS, required=True),))),
        Field("payload_repositories", "", OneSided(([],))),
    )
)


@dataclass(frozen=True, slots=True)
class Customizations:
    """A codec for the table `customizations`.

    Blueprints may have a list `sshkey` of users and SSH keys, which the API does not have. When it is read, each key is
    added to its user, and a user who is not in the list `user` is created. It is never written.
    """

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        table = as_mapping(value, at)
        customizations = _CUSTOMIZATIONS.read(
            {key: field_value for key, field_value in table.items() if key != "sshkey"}, at, unsupported
        )
        if "sshkey" in table:
            users = add_ssh_keys(customizations.get("users", []), table["sshkey"], f"{at}.sshkey", unsupported)
            return {**customizations, **({"users": users} if users else {})}
        return customizations

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return _CUSTOMIZATIONS.write(value, at, unsupported)
