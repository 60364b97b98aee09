"""Rules for customizations that osbuild refuses whatever the image type, beyond the schema in openapi.yaml.

A build with such a value would fail minutes later. Stored blueprints may have any shape: values of an unknown shape
break no rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from domain.compose import passwords
from domain.compose.paths import GENERAL, OSTREE, PathPolicies, PathPolicy, find_conflicts, find_form_fault
from domain.compose.request import Json
from domain.errors import InvalidRequestError, RulesViolatedError, Violation
from domain.osbuild.sizes import SIZE_DESCRIPTION, size_in_bytes
from domain.uuids import is_uuid

_USER: Final = "user rule violation"
_GROUP: Final = "group rule violation"
_FIREWALL: Final = "firewall rule violation"
_FILESYSTEM: Final = "filesystem rule violation"
_DISK: Final = "disk rule violation"
_CUSTOM: Final = "custom repository rule violation"
_PAYLOAD: Final = "payload repository rule violation"

_NAME: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}", re.ASCII)
_MODE: Final = re.compile(r"0?[0-7]{3}", re.ASCII)
_PORT: Final = re.compile(r"(?:[0-9]+(?:-[0-9]+)?|[A-Za-z][A-Za-z0-9_.+-]*):(?:tcp|udp|sctp|dccp)", re.ASCII)
_REPOSITORY_FILE: Final = re.compile(r"[A-Za-z0-9_.-]{1,250}\.repo", re.ASCII)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# An object of a list, with its path in the customizations.
_Entry = tuple[str, Json]
# The keys of a repository that hold an address.
ADDRESSES: Final = ("baseurl", "metalink", "mirrorlist")


def find_violations(customizations: Json, *, of_ostree: bool) -> Iterator[Violation]:
    """The violations of customizations (openapi.yaml); `of_ostree` says whether an image of OSTree is built.

    Their paths begin at the customizations. They are in the order users, groups, files, directories, file systems,
    disk, firewall, repositories.
    """
    policies = OSTREE if of_ostree else GENERAL
    return chain.from_iterable(
        check(customizations, policies) for fields, check in _CHECKS if not fields.isdisjoint(customizations)
    )


def refuse_violations(customizations: Json | None, of_ostree: bool) -> None:
    """Raise InvalidRequestError, listing the first violations and their number, if there are any."""
    violations = find_violations(customizations or {}, of_ostree=of_ostree)
    first = next(violations, None)
    if first is not None:
        found = RulesViolatedError(chain((first,), violations))
        more = f" (the first {len(found.violations)} of {found.total})" if found.total > len(found.violations) else ""
        raise InvalidRequestError(f"{found.detail}{more}")


def find_path_fault(path: str, policy: PathPolicy) -> str | None:
    """Why a file or a directory must not be created at this path; None where it may be."""
    fault = find_form_fault(path) or (None if path != "/" and policy.allows(path) else "is not allowed")
    return None if fault is None else f'path "{path}" {fault}'


def lacks_address(repository: Json) -> bool:
    """Whether a repository has neither an address nor an id by which its address can be found."""
    return not any(repository.get(name) for name in (*ADDRESSES, "id"))


def _check_users(customizations: Json, _: PathPolicies) -> Iterator[Violation]:
    users = _list_objects(customizations, "users")
    for at, user in users:
        name = _get_text(user, "name")
        fault = "missing user name" if not name.strip() else _find_name_fault("user", name)
        if fault is not None:
            yield Violation(_USER, fault, f"{at}.name")
        fault = passwords.find_password_fault(user)
        if fault is not None:
            yield Violation(_USER, fault, f"{at}.password")
        for key in ("uid", "gid"):
            if _is_negative(user.get(key)):
                yield Violation(_USER, f'user "{name}": {key} {user[key]} must not be negative', f"{at}.{key}")
    for at, name in _list_repeated(users, "name"):
        if name.strip():
            yield Violation(_USER, f'user "{name}" is given twice', at)


def _check_groups(customizations: Json, _: PathPolicies) -> Iterator[Violation]:
    groups = _list_objects(customizations, "groups")
    for at, group in groups:
        name = _get_text(group, "name")
        fault = _find_name_fault("group", name)
        if fault is not None:
            yield Violation(_GROUP, fault, f"{at}.name")
        if _is_negative(group.get("gid")):
            yield Violation(_GROUP, f'group "{name}": gid {group["gid"]} must not be negative', f"{at}.gid")
    for at, name in _list_repeated(groups, "name"):
        if name.strip():
            yield Violation(_GROUP, f'group "{name}" is given twice', at)


def _find_name_fault(kind: str, name: str) -> str | None:
    if _NAME.fullmatch(name):
        return None
    return f'{kind} name "{name}" must have at most 32 of the letters A-Z a-z 0-9 _ . - and not begin with -'


def _list_repeated(entries: Iterable[_Entry], key: str) -> Iterator[tuple[str, str]]:
    """The texts that several entries have at `key`, in their order, each with the path of the second one."""
    paths: dict[str, list[str]] = {}
    for at, entry in entries:
        paths.setdefault(_get_text(entry, key), []).append(f"{at}.{key}")
    return ((having[1], text) for text, having in paths.items() if len(having) > 1)


def _check_nodes(customizations: Json, policies: PathPolicies) -> Iterator[Violation]:
    valid: dict[str, list[str]] = {}
    positions: dict[str, str] = {}
    for kind, field, policy in (
        ("file", "files", policies.files),
        ("directory", "directories", policies.directories),
    ):
        paths = valid[kind] = []
        for at, node in _list_objects(customizations, field):
            path = _get_text(node, "path")
            fault = find_path_fault(path, policy) or _find_access_fault(node)
            if fault is not None:
                yield Violation(f"{kind} rule violation", f'{kind} "{path}": {fault}', at)
            if find_form_fault(path) is None:
                paths.append(path)
                positions[path] = f"{at}.path"
    for path, fault in find_conflicts(valid["file"], valid["directory"]):
        yield Violation("file rule violation", fault, positions[path])


def _find_access_fault(node: Json) -> str | None:
    mode = node.get("mode")
    if isinstance(mode, str) and mode and not _MODE.fullmatch(mode):
        return f'mode "{mode}" must have three octal digits, with or without a 0 in front'
    return _find_owner_fault("user", node.get("user")) or _find_owner_fault("group", node.get("group"))


def _find_owner_fault(kind: str, owner: object) -> str | None:
    if isinstance(owner, str):
        return _find_name_fault(kind, owner)
    return f"{kind} id {owner} must not be negative" if _is_negative(owner) else None


def _is_negative(value: object) -> bool:
    return isinstance(value, int) and value < 0


def _check_filesystems(customizations: Json, policies: PathPolicies) -> Iterator[Violation]:
    entries = _list_objects(customizations, "filesystem")
    for at, entry in entries:
        mountpoint = _get_text(entry, "mountpoint")
        fault = (
            "mountpoint must not be empty"
            if not mountpoint
            else _find_mountpoint_fault(mountpoint, policies.mountpoints)
        )
        if fault is not None:
            yield Violation(_FILESYSTEM, fault, f"{at}.mountpoint")
    yield from _find_repeated_mountpoints(_FILESYSTEM, entries)


def _check_disk(customizations: Json, policies: PathPolicies) -> Iterator[Violation]:
    disk = customizations.get("disk")
    if not isinstance(disk, Mapping):
        return
    yield from _find_size_faults("disk", disk)
    every: list[_Entry] = []
    for at, partition in _list_objects(disk, "partitions", "disk."):
        volumes = _list_objects(partition, "logical_volumes", f"{at}.")
        subvolumes = _list_objects(partition, "subvolumes", f"{at}.")
        yield from _find_size_faults(at, partition)
        for volume_at, volume in volumes:
            yield from _find_size_faults(volume_at, volume)
        mounted = [(at, partition), *volumes, *subvolumes]
        every += mounted
        for mounted_at, entry in mounted:
            mountpoint = _get_text(entry, "mountpoint")
            fault = _find_mountpoint_fault(mountpoint, policies.mountpoints) if mountpoint else None
            if fault is not None:
                yield Violation(_DISK, fault, f"{mounted_at}.mountpoint")
    yield from _find_repeated_mountpoints(_DISK, every)


def _find_size_faults(at: str, entry: Json) -> Iterator[Violation]:
    size = entry.get("minsize")
    if isinstance(size, str) and size_in_bytes(size) is None:
        field = f"{at}.minsize"
        yield Violation(_DISK, f'{field}: expected {SIZE_DESCRIPTION}, not "{size}"', field)


def _find_mountpoint_fault(mountpoint: str, policy: PathPolicy) -> str | None:
    fault = find_form_fault(mountpoint) or (None if policy.allows(mountpoint) else "is not allowed")
    return None if fault is None else f'mountpoint "{mountpoint}" {fault}'


def _find_repeated_mountpoints(title: str, entries: Iterable[_Entry]) -> Iterator[Violation]:
    for at, mountpoint in _list_repeated(entries, "mountpoint"):
        if mountpoint:
            yield Violation(title, f'mountpoint "{mountpoint}" is given twice', at)


def _check_firewall(customizations: Json, _: PathPolicies) -> Iterator[Violation]:
    firewall = customizations.get("firewall")
    ports = firewall.get("ports") if isinstance(firewall, Mapping) else None
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        if isinstance(port, str) and not _PORT.fullmatch(port):
            yield Violation(
                _FIREWALL,
                f'port "{port}" must be as in 8080:tcp, 6000-6100:udp or ssh:tcp; protocols: tcp udp sctp dccp',
                f"firewall.ports[{index}]",
            )


def _check_custom_repositories(customizations: Json, _: PathPolicies) -> Iterator[Violation]:
    for at, repository in _list_objects(customizations, "custom_repositories"):
        name = _get_text(repository, "id")
        for fault in _find_custom_faults(repository, name):
            yield Violation(_CUSTOM, f'custom repository "{name}": {fault}', at)


def _find_custom_faults(repository: Json, name: str) -> Iterator[str]:
    if lacks_address(repository):
        yield f"one of {', '.join(ADDRESSES)} is needed, or the id of a repository of the organization"
    filename = _get_text(repository, "filename")
    field, file = ("filename", filename) if filename else ("id", name)
    if file and not _REPOSITORY_FILE.fullmatch(file if file.endswith(".repo") else f"{file}.repo"):
        yield f'{field} "{file}" must be a file name of at most 250 letters A-Z a-z, digits, _ . and -'
    keys = repository.get("gpgkey") or []
    # What a repository of the organization leaves out is filled in, when it is built.
    if repository.get("check_gpg") is True and not keys and not is_uuid(name):
        yield "check_gpg needs a gpgkey"
    for key in keys if isinstance(keys, list) else ():
        if isinstance(key, str) and key and not _is_key(key):
            yield "gpgkey must be a URL, or an armored key with its BEGIN and END lines"


def _is_key(text: str) -> bool:
    armored = "-----BEGIN PGP PUBLIC KEY BLOCK-----" in text and "-----END PGP PUBLIC KEY BLOCK-----" in text
    return armored or _URL.match(text) is not None


def _check_payload_repositories(customizations: Json, _: PathPolicies) -> Iterator[Violation]:
    for at, repository in _list_objects(customizations, "payload_repositories"):
        if lacks_address(repository) and not repository.get("url"):
            yield Violation(_PAYLOAD, f"{at}: one of {', '.join(ADDRESSES)} or an id is needed", at)


# The checks, each with the customizations that it is about: without them, there is nothing to check.
_CHECKS: Final[tuple[tuple[frozenset[str], Callable[[Json, PathPolicies], Iterator[Violation]]], ...]] = (
    (frozenset({"users"}), _check_users),
    (frozenset({"groups"}), _check_groups),
    (frozenset({"files", "directories"}), _check_nodes),
    (frozenset({"filesystem"}), _check_filesystems),
    (frozenset({"disk"}), _check_disk),
    (frozenset({"firewall"}), _check_firewall),
    (frozenset({"custom_repositories"}), _check_custom_repositories),
    (frozenset({"payload_repositories"}), _check_payload_repositories),
)


def _list_objects(document: Json, name: str, prefix: str = "") -> list[_Entry]:
    """The objects in the list at `name`, each with its path, which begins with `prefix`."""
    value = document.get(name)
    if not isinstance(value, list):
        return []
    return [(f"{prefix}{name}[{index}]", entry) for index, entry in enumerate(value) if isinstance(entry, Mapping)]


def _get_text(entry: Json, name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""
