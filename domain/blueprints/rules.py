"""What a blueprint must keep to besides the contract; all that is wrong is said at once (contract: Blueprints)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from posixpath import normpath
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.compose import passwords
from domain.compose.sizes import whole_bytes
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
_ALLOWED_ALL_THE_SAME: Final = "/usr/local"
_DENIED_FILES: Final = frozenset({"/etc/fstab", "/etc/group", "/etc/passwd", "/etc/shadow"})

_MODE: Final = re.compile(r"[0-7]+", re.ASCII)
_HIGHEST_MODE: Final = 0o7777
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}", re.ASCII)
_GROUP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}", re.ASCII)
_MIB: Final = 1024**2


def check(document: Json) -> None:
    """Raise what is wrong with a document that fits the contract's CreateBlueprintRequest.

    RulesViolatedError counts every violation and lists the first: of the name, users, files, directories and file
    systems, in this order. InvalidRequestError names a size that is no number of bytes.
    """
    customizations = document["customizations"]
    _check_sizes(document["image_requests"], customizations)
    found = RulesViolatedError(
        chain(
            _name(document["name"]),
            _users(customizations.get("users", ())),
            _nodes("file", customizations.get("files", ())),
            _nodes("directory", customizations.get("directories", ())),
            _filesystems(customizations.get("filesystem", ())),
        )
    )
    if found.total:
        raise found


def path_complaint(path: str, *, is_file: bool) -> str | None:
    """Why a file or a directory may not be made there, None where it may."""
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
            whole_bytes(image["size"], f"image_requests[{index}].size")
    for index, filesystem in enumerate(customizations.get("filesystem", ())):
        whole_bytes(filesystem["min_size"], f"customizations.filesystem[{index}].min_size")


def _name(name: str) -> Iterator[Violation]:
    if not name.strip():
        yield Violation("blueprint name rule violation", "the blueprint's name must not be blank")


def _users(users: Any) -> Iterator[Violation]:
    title = "user rule violation"
    for user in users:
        if not user["name"].strip():
            yield Violation(title, "missing user name")
        complaint = passwords.complaint(user)
        if complaint is not None:
            yield Violation(title, complaint)


def _nodes(kind: str, nodes: Any) -> Iterator[Violation]:
    for node in nodes:
        complaint = path_complaint(node["path"], is_file=kind == "file") or _access_complaint(node)
        if complaint is not None:
            yield Violation(f"{kind} rule violation", f'{kind} "{node["path"]}": {complaint}')


def _access_complaint(node: Json) -> str | None:
    mode = node.get("mode")
    if mode is not None and not (_MODE.fullmatch(mode) and int(mode, 8) <= _HIGHEST_MODE):
        return f'mode "{mode}" must be octal, at most 07777'
    return _owner_complaint("user", node.get("user"), _USER) or _owner_complaint("group", node.get("group"), _GROUP)


def _owner_complaint(kind: str, owner: str | int | None, pattern: re.Pattern[str]) -> str | None:
    if isinstance(owner, str) and not pattern.fullmatch(owner):
        return f'{kind} name "{owner}" must match {pattern.pattern}'
    if isinstance(owner, int) and owner < 0:
        return f"{kind} id {owner} must not be negative"
    return None


def _filesystems(filesystems: Any) -> Iterator[Violation]:
    title = "filesystem rule violation"
    for filesystem in filesystems:
        mountpoint = filesystem["mountpoint"]
        complaint = _mountpoint_complaint(mountpoint)
        if complaint is not None:
            yield Violation(title, complaint)
        if 0 < filesystem["min_size"] < _MIB:
            yield Violation(title, f'mountpoint "{mountpoint}" minimum size must be at least 1MB')


def _mountpoint_complaint(mountpoint: str) -> str | None:
    if not mountpoint:
        return "mountpoint must not be empty"
    if not mountpoint.startswith("/"):
        return f'mountpoint "{mountpoint}" must be absolute'
    if not _is_canonical(mountpoint):
        return f'mountpoint "{mountpoint}" must be canonical'
    return None


def _is_canonical(path: str) -> bool:
    # Two leading slashes mean something to POSIX, but not here.
    return normpath(path) == path and not path.startswith("//")


def _is_denied(path: str) -> bool:
    if _is_within(path, _ALLOWED_ALL_THE_SAME):
        return False
    return any(_is_within(path, tree) for tree in _DENIED)


def _is_within(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree + "/")
