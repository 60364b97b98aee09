"""What a blueprint says, whichever way it is written: two of the same meaning build the same image.

A meaning is made of four forms: osbuild's TOML, this API's customizations, and the two that a composer takes. Nothing
here is the service's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

Json = dict[str, Any]

_UNITS: Final = {
    unit: factor
    for power, letter in enumerate("kMGT", start=1)
    for unit, factor in ((f"{letter}B", 1000**power), (f"{letter.upper()}iB", 1024**power))
}
_SPELLINGS: Final = {
    **{f"rhel-8.{minor}": f"rhel-8{minor}" for minor in range(4, 10)},
    **{f"rhel-9.{minor}": f"rhel-9{minor}" for minor in range(6)},
    **{f"rhel-9{minor}": f"rhel-9.{minor}" for minor in range(6, 9)},
    "rhel-810": "rhel-8.10",
    "centos-stream-9": "centos-9",
    "centos-stream-10": "centos-10",
}
_OF_A_BLUEPRINT_ONLY: Final = ("description", "home", "shell", "uid", "gid")
# As a TOML export leaves them out.
SECRETS: Final = ("password", "cacerts")


def distribution(spelling: str) -> str:
    """The folder's name."""
    return _SPELLINGS.get(spelling, spelling)


def in_bytes(size: int | str | None) -> int:
    """A size in bytes; none is 0."""
    if not isinstance(size, str):
        return size or 0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", size.strip())
    assert match, size
    number = Fraction(match[1]) * _UNITS.get(match[2], 1)
    assert number.denominator == 1, size
    return number.numerator


def of_osbuild(document: Mapping[str, Any]) -> Json:
    """The meaning of an osbuild blueprint, as read from TOML."""
    custom = document.get("customizations", {})
    return _meaning(
        custom,
        name=document.get("name"),
        description=document.get("description"),
        version=document.get("version"),
        distribution=distribution(document.get("distro", "")),
        architecture=document.get("architecture") or "x86_64",
        packages=[_package(each) for key in ("packages", "modules") for each in document.get(key, ())]
        + [f"@{group['name']}" for group in document.get("groups", ())],
        enabled_modules=document.get("enabled_modules"),
        containers=[_container(each) for each in document.get("containers", ())],
        users=_users(custom.get("user", ()), custom.get("sshkey", ())),
        groups=custom.get("group"),
        filesystem={
            each["mountpoint"]: in_bytes(each.get("minsize") or each.get("size"))
            for each in custom.get("filesystem", ())
        },
        repositories=[_repository(each) for each in custom.get("repositories", ())],
        fips=custom.get("fips"),
    )


def of_customizations(custom: Mapping[str, Any], **own: Any) -> Json:
    """The meaning of this API's customizations, or of a composer's; `own` is what stands beside them."""
    return _meaning(
        custom,
        **own,
        packages=custom.get("packages", ()),
        enabled_modules=custom.get("enabled_modules"),
        containers=[_container(each) for each in custom.get("containers", ())],
        users=_users(custom.get("users", ())),
        groups=custom.get("groups"),
        filesystem={each["mountpoint"]: in_bytes(each["min_size"]) for each in custom.get("filesystem", ())},
        repositories=[_repository(each) for each in custom.get("custom_repositories", ())],
        fips=custom.get("fips", {}).get("enabled"),
    )


def of_build(request: Mapping[str, Any]) -> Json:
    """The meaning of the content of a request that a composer got, in either form."""
    if "blueprint" in request:
        return of_content(of_osbuild(request["blueprint"]))
    return of_customizations(request.get("customizations", {}))


def without_defaults(content: Mapping[str, Any]) -> Json:
    """The content without what a composer adds to a request that it echoes, where the request is silent."""
    custom = dict(content.get("customizations", {}))
    if custom.get("partitioning_mode") == "auto-lvm":
        del custom["partitioning_mode"]
    return _prune({**content, "customizations": custom}) or {}


def of_content(meaning: Mapping[str, Any]) -> Json:
    """The meaning without what a blueprint is called and built for."""
    own = ("name", "description", "version", "distribution", "architecture")
    return {key: value for key, value in meaning.items() if key not in own}


def without(meaning: Mapping[str, Any], *names: str) -> Json:
    """The meaning without these fields, at any depth."""

    def drop(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: drop(each) for key, each in value.items() if key not in names}
        return [drop(each) for each in value] if isinstance(value, list) else value

    return _prune(drop(meaning)) or {}


def needs_a_blueprint(meaning: Mapping[str, Any]) -> list[str]:
    """What only a composer's `blueprint` can say: paths in this API's customizations."""
    custom = meaning.get("customizations", {})
    found = [
        f"users[].{key}"
        for key in _OF_A_BLUEPRINT_ONLY
        if any(key in user for user in meaning.get("users", {}).values())
    ]
    found += ["firewall.zones"] if "zones" in custom.get("firewall", {}) else []
    return found + (["openscap.datastream"] if "datastream" in custom.get("openscap", {}) else [])


def _meaning(custom: Mapping[str, Any], **fields: Any) -> Json:
    same = {
        key: custom.get(key)
        for key in (
            *("hostname", "kernel", "timezone", "locale", "firewall", "services", "installation_device", "fdo"),
            *("partitioning_mode", "openscap", "ignition", "installer", "rpm", "rhsm", "cacerts", "dnf"),
        )
    }
    if "firewall" in custom:
        same["firewall"] = {**custom["firewall"], "zones": _named(custom["firewall"].get("zones", ()))}
    meaning = {
        **fields,
        "packages": sorted(fields["packages"]),
        "customizations": {
            **same,
            "directories": _nodes(custom.get("directories", ())),
            "files": _nodes(custom.get("files", ())),
            "disk": _disk(custom.get("disk", {})),
        },
    }
    return _prune(meaning) or {}


def _prune(value: Any) -> Any:
    """Without what says nothing: empty texts, lists and tables, and defaults that are off."""
    if isinstance(value, Mapping):
        pruned = {key: _prune(each) for key, each in value.items()}
        off = {key for key in ("fips", "unattended", "set_releasever") if pruned.get(key) is False}
        return {key: each for key, each in pruned.items() if each not in (None, "", [], {}, b"") and key not in off}
    return [_prune(each) for each in value] if isinstance(value, list | tuple) else value


def _named(items: Iterable[Mapping[str, Any]]) -> list[Json]:
    return [{"name": each.get("name"), "sources": each.get("sources")} for each in items]


def _package(package: Mapping[str, Any]) -> str:
    version = package.get("version", "")
    return str(package["name"]) if version in ("", "*") else f"{package['name']}-{version}"


def _container(container: Mapping[str, Any]) -> Json:
    verify = container.get("tls-verify", container.get("tls_verify"))
    return {"source": container["source"], "name": container.get("name"), "tls_verify": verify}


def _users(users: Iterable[Mapping[str, Any]], keys: Iterable[Mapping[str, Any]] = ()) -> Json:
    found: Json = {}
    for user in users:
        lines = (user.get("key") or user.get("ssh_key") or "").splitlines()
        found[user["name"]] = {
            "name": user["name"],
            "key": lines,
            "groups": user.get("groups"),
            "password": bool(user.get("password")),
            **{field: user.get(field) for field in _OF_A_BLUEPRINT_ONLY},
        }
    for each in keys:
        user = found.setdefault(each["user"], {"name": each["user"], "key": [], "password": False})
        user["key"] = [*user["key"], each["key"]]
    for user in found.values():
        user["key"] = sorted(set(user["key"]))
        if not user["password"]:
            del user["password"]
    return found


def _repository(repository: Mapping[str, Any]) -> Json:
    names = {
        "baseurl": "baseurls",
        "gpgkey": "gpgkeys",
        "check_gpg": "gpgcheck",
        "check_repo_gpg": "repo_gpgcheck",
        "ssl_verify": "sslverify",
    }
    return {names.get(key, key): value for key, value in repository.items()}


def _nodes(nodes: Iterable[Mapping[str, Any]]) -> Json:
    return {
        node["path"]: {
            "path": node["path"],
            "mode": int(node["mode"], 8) if node.get("mode") else None,
            "user": node.get("user"),
            "group": node.get("group"),
            "ensure_parents": node.get("ensure_parents") or None,
            "data": _data(node),
        }
        for node in nodes
    }


def _data(node: Mapping[str, Any]) -> bytes:
    data = node.get("data", "")
    return base64.b64decode(data) if node.get("data_encoding") == "base64" else data.encode()


def _disk(disk: Mapping[str, Any]) -> Json:
    return {
        "type": disk.get("type"),
        "minsize": in_bytes(disk.get("minsize")) or None,
        "partitions": [_partition(each, disk) for each in disk.get("partitions", ())],
    }


def _partition(volume: Mapping[str, Any], above: Mapping[str, Any]) -> Json:
    fields = {key: volume.get(key) for key in ("part_type", "name", "mountpoint", "label", "fs_type", "subvolumes")}
    below = [_partition(each, volume) for each in volume.get("logical_volumes", ())]
    kind = (volume.get("type") or "plain") if "partitions" in above else None
    return {**fields, "type": kind, "minsize": in_bytes(volume.get("minsize")) or None, "logical_volumes": below}
