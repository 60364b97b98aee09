"""Reads TOML exports as osbuild's own readers do, and refuses what they refuse or would lose.

It shares no code with the service. osbuild's readers want an array of tables as `[[tables]]` at every depth, integers
of 64 bits, a size for each partition and logical volume, a size above zero for each file system, and in a partition
only the keys of its type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final

Json = dict[str, Any]
Check = Callable[[Any, str], None]

MEDIA_TYPE: Final = "application/toml"
_SIZE: Final = re.compile(r"\s*\d+(\.\d+)?\s*(kB|KiB|MB|MiB|GB|GiB|TB|TiB)\s*|\s*\d+\s*")
_TOKENS: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[\n\[\]{}]|.''', re.DOTALL
)


class UnreadableError(AssertionError):
    """osbuild refuses the text, or reads something else than it says."""


def read_export(text: str) -> Json:
    """The document in a TOML export.

    Raises UnreadableError, which names the place.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(f"no TOML 1.0: {error}") from error
    _check_arrays(text)
    _BLUEPRINT(document, "")
    return document


def read_remarks(text: str) -> str:
    """The comment above the document."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
    return "\n".join(lines[:first])


def check_answer(status: int, media_type: str | None, content: bytes) -> None:
    """Read the answer if it is a blueprint in TOML. Raises UnreadableError."""
    if status == 200 and (media_type or "").partition(";")[0].strip() == MEDIA_TYPE:
        read_export(content.decode())


def _check_arrays(text: str) -> None:
    """No inline table is in an array. The text is TOML."""
    line, arrays, begins, header = 1, 0, True, 0
    for match in _TOKENS.finditer(text):
        token = match[0]
        if header:
            header += {"[": 1, "]": -1}.get(token, 0)
        elif token == "[" and begins and not arrays:
            header = 1
        elif token == "{" and arrays:
            raise UnreadableError(f"line {line}: an inline table in an array; osbuild wants [[tables]]")
        else:
            arrays += {"[": 1, "]": -1}.get(token, 0)
        begins = token == "\n" or (begins and token.isspace())
        line += token.count("\n")


def _refuse(at: str, wanted: str, found: Any) -> None:
    raise UnreadableError(f"{at or 'the document'}: {wanted}, not {found!r}")


def text(value: Any, at: str) -> None:
    """A text."""
    if not isinstance(value, str):
        _refuse(at, "a text", value)


def name(value: Any, at: str) -> None:
    """A text that is not empty."""
    text(value, at)
    if not value:
        _refuse(at, "a text that is not empty", value)


def flag(value: Any, at: str) -> None:
    """A truth value."""
    if not isinstance(value, bool):
        _refuse(at, "true or false", value)


def integer(value: Any, at: str) -> None:
    """An integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        _refuse(at, "an integer of 64 bits", value)


def owner(value: Any, at: str) -> None:
    """The name or the number of a user or group."""
    if not isinstance(value, str):
        integer(value, at)


def size(value: Any, at: str) -> None:
    """A number of bytes, or a text with a number and perhaps a unit."""
    if isinstance(value, str):
        if not _SIZE.fullmatch(value):
            _refuse(at, "a size", value)
    else:
        integer(value, at)
        if value < 0:
            _refuse(at, "a size", value)


def list_of(check: Check) -> Check:
    """A list of these."""

    def check_list(value: Any, at: str) -> None:
        if not isinstance(value, list):
            _refuse(at, "a list", value)
        for number, each in enumerate(value):
            check(each, f"{at}[{number}]")

    return check_list


def table(required: Mapping[str, Check] | None = None, /, **keys: Check) -> Check:
    """A table with all required keys, any of the others, and nothing else."""
    wanted, allowed = required or {}, {**(required or {}), **keys}

    def check_table(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            _refuse(at, "a table", value)
        for key in wanted.keys() - value.keys():
            _refuse(f"{at}.{key}".lstrip("."), "a value", None)
        for key, each in value.items():
            inner = f"{at}.{key}".lstrip(".")
            if key not in allowed:
                _refuse(inner, "no such key", each)
            allowed[key](each, inner)

    return check_table


_FILE_SYSTEM_OF_A_VOLUME: Final = {"mountpoint": text, "label": text, "fs_type": text}
_PARTITION: Final = {"type": text, "part_type": text, "part_label": text, "part_uuid": text}
_SUBVOLUME: Final = table({"name": name, "mountpoint": name})
_LOGICAL_VOLUME: Final = table({"minsize": size}, name=text, **_FILE_SYSTEM_OF_A_VOLUME)
_PARTITIONS: Final = {
    "plain": table({"minsize": size}, **_PARTITION, **_FILE_SYSTEM_OF_A_VOLUME),
    "btrfs": table({"minsize": size}, **_PARTITION, subvolumes=list_of(_SUBVOLUME)),
    "lvm": table({"minsize": size}, **_PARTITION, name=text, logical_volumes=list_of(_LOGICAL_VOLUME)),
}


def partition(value: Any, at: str) -> None:
    """A partition with the keys of its type."""
    kind = value.get("type", "plain") if isinstance(value, dict) else None
    if kind not in _PARTITIONS:
        _refuse(f"{at}.type", " or ".join(_PARTITIONS), kind)
    _PARTITIONS[str(kind)](value, at)


def filesystem(value: Any, at: str) -> None:
    """A mount point with a size above zero, which has two names."""
    table({"mountpoint": name}, minsize=size, size=size)(value, at)
    sizes = [value[key] for key in ("size", "minsize") if key in value]
    if len(sizes) != 1 or re.fullmatch(r"[0.]*\D*", str(sizes[0])):
        _refuse(f"{at}.minsize", "one size above zero", sizes)


_NODE: Final = {"mode": text, "user": owner, "group": owner, "ensure_parents": flag}
_PLUGIN: Final = table(enabled=flag)
_CUSTOMIZATIONS: Final = table(
    {},
    hostname=text,
    kernel=table(name=text, append=text),
    sshkey=list_of(table({"user": text, "key": text})),
    user=list_of(
        table(
            {"name": name},
            **dict.fromkeys(["description", "password", "key", "home", "shell"], text),
            groups=list_of(text),
            uid=integer,
            gid=integer,
        )
    ),
    group=list_of(table({"name": name}, gid=integer)),
    timezone=table(timezone=text, ntpservers=list_of(text)),
    locale=table(languages=list_of(text), keyboard=text),
    firewall=table(
        ports=list_of(text),
        services=table(enabled=list_of(text), disabled=list_of(text)),
        zones=list_of(table(name=text, sources=list_of(text))),
    ),
    services=table(enabled=list_of(text), disabled=list_of(text), masked=list_of(text)),
    filesystem=list_of(filesystem),
    disk=table(
        type=text,
        minsize=size,
        partitions=list_of(partition),
        start_offset=size,
        sector_size=integer,
    ),
    installation_device=text,
    partitioning_mode=text,
    fdo=table(
        **dict.fromkeys(
            [
                "manufacturing_server_url",
                "diun_pub_key_insecure",
                "diun_pub_key_hash",
                "diun_pub_key_root_certs",
                "di_mfg_string_type_mac_iface",
            ],
            text,
        )
    ),
    openscap=table(
        datastream=text,
        profile_id=text,
        policy_id=text,
        tailoring=table(selected=list_of(text), unselected=list_of(text)),
        json_tailoring=table(profile_id=text, filepath=text),
    ),
    ignition=table(embedded=table(config=text), firstboot=table(url=text)),
    directories=list_of(table({"path": name}, **_NODE)),
    # `ensure_parents` and `data_encoding` are of the files that clients of this service write, not of osbuild's own.
    files=list_of(table({"path": name}, **_NODE, data=text, data_encoding=text)),
    repositories=list_of(
        table(
            {"id": name},
            **dict.fromkeys(["name", "filename", "metalink", "mirrorlist"], text),
            **dict.fromkeys(["gpgcheck", "repo_gpgcheck", "enabled", "sslverify", "module_hotfixes"], flag),
            baseurls=list_of(text),
            gpgkeys=list_of(text),
            priority=integer,
        )
    ),
    fips=flag,
    installer=table(**{"unattended": flag, "sudo-nopasswd": list_of(text)}),
    rpm=table(import_keys=table(files=list_of(text))),
    rhsm=table(
        config=table(
            dnf_plugins=table(product_id=_PLUGIN, subscription_manager=_PLUGIN),
            subscription_manager=table(
                rhsm=table(manage_repos=flag, auto_enable_yum_plugins=flag), rhsmcertd=table(auto_registration=flag)
            ),
        )
    ),
    dnf=table(config=table(set_releasever=flag)),
    cacerts=table(pem_certs=list_of(text)),
)
_PACKAGES: Final = list_of(table({"name": name}, version=text))
_BLUEPRINT: Final = table(
    {"name": name},
    **dict.fromkeys(["description", "version", "distro", "architecture"], text),
    packages=_PACKAGES,
    modules=_PACKAGES,
    groups=list_of(table({"name": text})),
    enabled_modules=list_of(table({"name": text}, stream=text)),
    containers=list_of(table({"source": text}, **{"name": text, "tls-verify": flag})),
    customizations=_CUSTOMIZATIONS,
)
