"""Rules for blueprints that the schema in openapi.yaml does not express; all violations are reported together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from posixpath import normpath
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.compose import passwords
from domain.compose.sizes import parse_size
from domain.errors import RulesViolatedError, Violation

_DENIED: Final = (
    "/bin",
    "/boot",
    "/dev",
    "/efi",
    "/lib",
    "/lib64",
    "/lost+found",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/sysroot",
    "/tmp",  # noqa: S108 - a path of the image
    "/usr",
    "/var/run",
    "/var/tmp",  # noqa: S108 - likewise
)
# Allowed although it is below a denied directory.
_ALLOWED: Final = "/usr/local"
_DENIED_FILES: Final = frozenset({"/etc/fstab", "/etc/group", "/etc/passwd", "/etc/shadow"})

_MODE: Final = re.compile(r"[0-7]+", re.ASCII)
_HIGHEST_MODE: Final = 0o7777
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}", re.ASCII)
_GROUP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}", re.ASCII)
_MIB: Final = 1024**2


def check(document: Json) -> None:
    """Check a document that is a valid CreateBlueprintRequest (openapi.yaml).

    Raises RulesViolatedError, which counts all violations and lists the first ones, in the order name, users, files,
    directories, file systems. Raises InvalidRequestError for a size that is no number of bytes.
    """
    customizations = document["customizations"]
    _check_sizes(document["image_requests"], customizations)
    found = RulesViolatedError(
        chain(
            _check_name(document["name"]),
            _check_users(customizations.get("users", ())),
            _check_nodes("file", customizations.get("files", ())),
            _check_nodes("directory", customizations.get("directories", ())),
            _check_filesystems(customizations.get("filesystem", ())),
        )
    )
    if found.total:
        raise found


def find_path_fault(path: str, *, is_file: bool) -> str | None:
    """Why a file or a directory must not be created at this path; None where it may be."""
    if not path.startswith("/"):
        return f'path "{path}" must be absolute'
    if not _is_canonical(path):
        return f'path "{path}" must be canonical'
    if path == "/" or _is_denied(path) or (is_file and path in _DENIED_FILES):
        return f'path "{path}" is not allowed'
    return None


def _check_sizes(image_requests: Any, customizations: Json) -> None:
    for index, image in enumerate(image_requests):
        if "size" in image:
            parse_size(image["size"], f"image_requests[{index}].size")
    for index, filesystem in enumerate(customizations.get("filesystem", ())):
        parse_size(filesystem["min_size"], f"customizations.filesystem[{index}].min_size")


def _check_name(name: str) -> Iterator[Violation]:
    if not name.strip():
        yield Violation("blueprint name rule violation", "the blueprint's name must not be blank")


def _check_users(users: Any) -> Iterator[Violation]:
    title = "user rule violation"
    for user in users:
        if not user["name"].strip():
            yield Violation(title, "missing user name")
        fault = passwords.find_password_fault(user)
        if fault is not None:
            yield Violation(title, fault)


def _check_nodes(kind: str, nodes: Any) -> Iterator[Violation]:
    for node in nodes:
        fault = find_path_fault(node["path"], is_file=kind == "file") or _find_access_fault(node)
        if fault is not None:
            yield Violation(f"{kind} rule violation", f'{kind} "{node["path"]}": {fault}')


def _find_access_fault(node: Json) -> str | None:
    mode = node.get("mode")
    if mode is not None and not (_MODE.fullmatch(mode) and int(mode, 8) <= _HIGHEST_MODE):
        return f'mode "{mode}" must be octal, at most 07777'
    return _find_owner_fault("user", node.get("user"), _USER) or _find_owner_fault("group", node.get("group"), _GROUP)


def _find_owner_fault(kind: str, owner: str | int | None, pattern: re.Pattern[str]) -> str | None:
    if isinstance(owner, str) and not pattern.fullmatch(owner):
        return f'{kind} name "{owner}" must match {pattern.pattern}'
    if isinstance(owner, int) and owner < 0:
        return f"{kind} id {owner} must not be negative"
    return None


def _check_filesystems(filesystems: Any) -> Iterator[Violation]:
    title = "filesystem rule violation"
    for filesystem in filesystems:
        mountpoint = filesystem["mountpoint"]
        fault = _find_mountpoint_fault(mountpoint)
        if fault is not None:
            yield Violation(title, fault)
        if 0 < filesystem["min_size"] < _MIB:
            yield Violation(title, f'mountpoint "{mountpoint}" minimum size must be at least 1MB')


def _find_mountpoint_fault(mountpoint: str) -> str | None:
    if not mountpoint:
        return "mountpoint must not be empty"
    if not mountpoint.startswith("/"):
        return f'mountpoint "{mountpoint}" must be absolute'
    if not _is_canonical(mountpoint):
        return f'mountpoint "{mountpoint}" must be canonical'
    return None


def _is_canonical(path: str) -> bool:
    # `normpath` keeps two leading slashes, which POSIX gives a meaning of their own.
    return normpath(path) == path and not path.startswith("//")


def _is_denied(path: str) -> bool:
    if _is_within(path, _ALLOWED):
        return False
    return any(_is_within(path, tree) for tree in _DENIED)


def _is_within(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree + "/")
