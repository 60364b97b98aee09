"""Where in an image files, directories and mount points may be.

Source: osbuild's path policies. A policy decides by the longest path of its own that is the path or above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname, normpath
from typing import Final

_SYSTEM: Final = ("/bin", "/dev", "/lib", "/lib64", "/lost+found", "/proc", "/run", "/sbin", "/sys", "/sysroot")
_NODES_DENIED: Final = (*_SYSTEM, "/boot", "/efi", "/tmp", "/usr", "/var/run", "/var/tmp")  # noqa: S108 - of the image
_FILES_DENIED: Final = ("/etc/fstab", "/etc/group", "/etc/passwd", "/etc/shadow")


@dataclass(frozen=True, slots=True)
class PathPolicy:
    """Which paths are allowed: `rules` says it for a path and all below it.

    Paths in `alone` are allowed, and nothing below them. A path for which there is no rule is allowed.
    """

    rules: Mapping[str, bool]
    alone: frozenset[str] = frozenset()

    def allows(self, path: str) -> bool:
        """Whether the policy allows an absolute path in its shortest form."""
        if path in self.alone:
            return True
        while path != "/":
            if path in self.alone:
                return False
            if path in self.rules:
                return self.rules[path]
            path = dirname(path)
        return self.rules.get("/", True)


def _policy(*, deny: Iterable[str] = (), allow: Iterable[str] = (), alone: Iterable[str] = ()) -> PathPolicy:
    return PathPolicy({**dict.fromkeys(deny, False), **dict.fromkeys(allow, True)}, frozenset(alone))


@dataclass(frozen=True, slots=True)
class PathPolicies:
    """The policies of one kind of image."""

    files: PathPolicy
    directories: PathPolicy
    mountpoints: PathPolicy


GENERAL: Final = PathPolicies(
    files=_policy(deny=(*_NODES_DENIED, *_FILES_DENIED), allow=("/usr/local",)),
    directories=_policy(deny=_NODES_DENIED, allow=("/usr/local",)),
    mountpoints=_policy(deny=(*_SYSTEM, "/etc", "/var/run", "/var/lock"), alone=("/usr",)),
)
OSTREE: Final = PathPolicies(
    files=_policy(deny=("/", *_FILES_DENIED), allow=("/etc", "/root", "/usr/local/bin", "/usr/local/sbin")),
    directories=_policy(deny=("/",), allow=("/etc",)),
    mountpoints=_policy(
        deny=(
            *("/home", "/mnt", "/opt", "/ostree", "/root", "/srv", "/var/home", "/var/mnt", "/var/opt"),
            *("/var/roothome", "/var/srv", "/var/usrlocal"),
        )
    ),
)


def is_of_ostree(image_type: object) -> bool:
    """Whether images of this type consist of an OSTree commit."""
    return isinstance(image_type, str) and image_type.removeprefix("rhel-").startswith(("edge-", "iot-"))


def find_form_fault(path: str) -> str | None:
    """What is wrong with the form of a path: it is not absolute, or not in its shortest form."""
    if not path.startswith("/"):
        return "must be absolute"
    # `normpath` keeps two leading slashes, which POSIX gives a meaning of their own.
    return "must be canonical" if normpath(path) != path or path.startswith("//") else None


def find_conflicts(files: Iterable[str], directories: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Paths that cannot exist with others, each with the reason: given twice, or below a file.

    The paths are absolute and in their shortest form. Takes time linear in their total length, but for sorting.
    """
    kinds: dict[str, str] = {}
    for kind, paths in (("file", files), ("directory", directories)):
        for path in paths:
            if path in kinds:
                yield path, f'path "{path}" is given twice'
            elif path != "/":
                kinds[path] = kind
    above = ""  # the last file: what is below it follows it in this order
    for path in sorted(kinds, key=lambda each: each.replace("/", "\0")):
        if above and path.startswith(f"{above}/"):
            yield path, f'path "{path}" needs a directory where "{above}" is a file'
        elif kinds[path] == "file":
            above = path
