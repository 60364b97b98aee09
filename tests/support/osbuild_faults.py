"""Faults to plant in osbuild blueprints, and what a refusal has to say about each.

The rules are osbuild's, for whatever image type; the lists of paths and the patterns are written out here on purpose.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.osbuild_vocabulary import Json, blueprints


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a blueprint, and the words that the refusal has to hold: the key, and often the value."""

    name: str
    plant: Callable[[Json], None]
    words: tuple[str, ...]


def _custom(**values: Any) -> Callable[[Json], None]:
    """Add this to the customizations: a list is added to the list that is there, another value replaces it."""

    def plant(document: Json) -> None:
        custom = document.setdefault("customizations", {})
        for key, value in values.items():
            name = key.replace("__", "-")
            if isinstance(value, list) and isinstance(custom.get(name), list):
                custom[name] = [*custom[name], *copy.deepcopy(value)]
            else:
                custom[name] = copy.deepcopy(value)

    return plant


def _top(**values: Any) -> Callable[[Json], None]:
    return lambda document: document.update(copy.deepcopy(values))


def _partitions(*partitions: Json) -> Callable[[Json], None]:
    def plant(document: Json) -> None:
        custom = document.setdefault("customizations", {})
        custom.pop("filesystem", None)
        custom["disk"] = {"partitions": copy.deepcopy(list(partitions))}

    return plant


def _file_systems(*file_systems: Json) -> Callable[[Json], None]:
    def plant(document: Json) -> None:
        document.setdefault("customizations", {}).pop("disk", None)
        _custom(filesystem=list(file_systems))(document)

    return plant


def _mounted(*mountpoints: str) -> Callable[[Json], None]:
    return _file_systems(*({"mountpoint": each, "minsize": "1 GiB"} for each in mountpoints))


def _repository_with(**fields: Any) -> Callable[[Json], None]:
    return _custom(repositories=[fields])


_URL: Final = ["https://r.example.com"]
_DENIED_MOUNTS: Final = (
    *("/etc", "/sys", "/proc", "/dev", "/run", "/bin", "/sbin", "/lib", "/lib64", "/lost+found", "/sysroot"),
    *("/var/run", "/var/lock", "/usr/x", "/etc/x"),
)
_DENIED_DIRECTORIES: Final = (
    *("/bin", "/boot", "/dev", "/efi", "/lib", "/lib64", "/lost+found", "/proc", "/run", "/sbin", "/sys", "/sysroot"),
    *("/tmp", "/usr", "/var/run", "/var/tmp", "/usr/lib/x"),  # noqa: S108 - refused paths
)
_UNBUILDABLE: Final[dict[str, tuple[Callable[[Json], None], tuple[str, ...]]]] = {
    "installer.kickstart": (_custom(installer={"kickstart": {"contents": "text"}}), ("installer.kickstart",)),
    "installer.modules": (_custom(installer={"modules": {"enable": ["m"]}}), ("installer.modules",)),
    "iso": (_custom(iso={"volume_id": "x"}), ("iso",)),
    "bootloader": (_custom(bootloader={"name": "grub2"}), ("bootloader",)),
    "sshd": (_custom(sshd={"config": {"PermitRootLogin": "no"}}), ("sshd",)),
    "firstboot": (_custom(firstboot={"scripts": [{"contents": "x"}]}), ("firstboot",)),
    "containers-storage": (_custom(containers__storage={"destination-path": "/x"}), ("containers-storage",)),
    "expiredate": (_custom(user=[{"name": "exp", "expiredate": 9}]), ("expiredate",)),
    "force_password_reset": (_custom(user=[{"name": "f", "force_password_reset": True}]), ("force_password_reset",)),
    "install_from": (_repository_with(id="inst", baseurls=_URL, install_from=True), ("install_from",)),
}
UNBUILDABLE: Final = tuple(Fault(name, *rest) for name, rest in _UNBUILDABLE.items())
# Faults of form: unknown keys, wrong kinds of values.
FORM: Final = (
    Fault("unknown key", _top(flavour="x"), ("flavour",)),
    Fault("unknown customization", _custom(flavour={"x": 1}), ("customizations.flavour",)),
    Fault("unknown key of a user", _custom(user=[{"name": "shoed", "shoe": 43}]), ("shoe",)),
    Fault("unknown key of a package", _top(packages=[{"name": "p", "colour": "x"}]), ("colour",)),
    Fault("unknown key of a volume", _partitions({"fs_type": "xfs", "mountpoint": "/d", "raid": 1}), ("raid",)),
    Fault("number for a name", _top(name=7), ("name",)),
    Fault("text for packages", _top(packages="vim"), ("packages",)),
    Fault("number for a host name", _custom(hostname=7), ("hostname",)),
    Fault("text for a truth value", _custom(fips="yes"), ("fips",)),
    Fault("list for a table", _custom(kernel=["x"]), ("kernel",)),
    Fault("text for a uid", _custom(user=[{"name": "texted", "uid": "7"}]), ("uid",)),
    Fault("package without a name", _top(packages=[{"version": "*"}]), ("packages", "name")),
    Fault("container without a source", _top(containers=[{"name": "x"}]), ("containers", "source")),
    Fault("unknown distribution", _top(distro="nowhere-1"), ("distro", "nowhere-1")),
    Fault("unknown architecture", _top(architecture="vax"), ("architecture", "vax")),
    *(
        Fault(f"size {size!r}", _partitions({"fs_type": "xfs", "mountpoint": "/d", "minsize": size}), ("minsize",))
        for size in ("ten", "1 gib", "-1", "1 GiB x", "1e3", "0x10", "1.5")
    ),
    Fault(
        "size of a volume",
        _partitions({"type": "lvm", "logical_volumes": [{"fs_type": "xfs", "mountpoint": "/d", "minsize": "much"}]}),
        ("minsize",),
    ),
    Fault("unknown file system", _partitions({"fs_type": "ntfs", "mountpoint": "/d"}), ("fs_type", "ntfs")),
    Fault("unknown kind of partition", _partitions({"type": "zfs", "minsize": "1 GiB"}), ("type", "zfs")),
    Fault("unknown partition table", _custom(disk={"type": "mbr", "partitions": []}), ("type", "mbr")),
    Fault("unknown partitioning mode", _custom(partitioning_mode="striped"), ("partitioning_mode", "striped")),
    Fault(
        "unknown encoding",
        _custom(files=[{"path": "/etc/e", "data": "x", "data_encoding": "hex"}]),
        ("data_encoding", "hex"),
    ),
    Fault("repository without an id", _repository_with(baseurls=_URL), ("repositories", "id")),
    Fault(
        "both spellings of tls_verify",
        _top(containers=[{"source": "c", "tls-verify": True, "tls_verify": False}]),
        ("tls-verify", "tls_verify"),
    ),
    Fault(
        "both names of a size",
        _file_systems({"mountpoint": "/two", "minsize": "1 GiB", "size": "2 GiB"}),
        ("size", "minsize"),
    ),
)
# What osbuild refuses, for whatever image type.
RULES: Final = (
    *(
        Fault(f"user {name!r}", _custom(user=[{"name": name}]), (name,))
        for name in ("two words", "ü", "-x", "a" * 33, "x/y", "x:y")
    ),
    *(Fault(f"group {name!r}", _custom(group=[{"name": name}]), (name,)) for name in ("my group", "-g", "g" * 33)),
    Fault("negative gid", _custom(group=[{"name": "neg", "gid": -5}]), ("neg", "-5")),
    Fault("negative uid", _custom(user=[{"name": "negu", "uid": -5}]), ("negu", "-5")),
    Fault("group twice", _custom(group=[{"name": "twice"}, {"name": "twice"}]), ("twice",)),
    Fault("user twice", _custom(user=[{"name": "twice"}, {"name": "twice"}]), ("twice",)),
    *(
        Fault(f"port {port}", _custom(firewall={"ports": [port]}), (port,))
        for port in ("22/tcp", "443", "x y:tcp", "22:icmp", ":tcp", "1-2-3:udp", "22:tcp ")
    ),
    *(
        Fault(f"mode {mode} of a {kind[:-1]}", _custom(**{kind: [{"path": f"/etc/m{mode}", "mode": mode}]}), (mode,))
        for mode in ("1777", "04755", "7", "0o755", "0888", "755 ", "00644")
        for kind in ("files", "directories")
    ),
    *(Fault(f"mount at {path}", _mounted(path), (path,)) for path in _DENIED_MOUNTS),
    *(Fault(f"mount at {path}", _mounted(path), (path,)) for path in ("relative", "/a/", "/a//b", "/a/../b")),
    *(
        Fault(f"{kind} {path}", _custom(**{kind: [{"path": path}]}), (path,))
        for kind in ("directories", "files")
        for path in (*_DENIED_DIRECTORIES, "relative", "/etc/a/", "/etc//b", "/etc/../b")
    ),
    *(
        Fault(f"file {path}", _custom(files=[{"path": path}]), (path,))
        for path in ("/etc/fstab", "/etc/group", "/etc/passwd", "/etc/shadow")
    ),
    Fault("file twice", _custom(files=[{"path": "/etc/x"}, {"path": "/etc/x"}]), ("/etc/x",)),
    Fault(
        "directory as a file too",
        _custom(files=[{"path": "/etc/y"}], directories=[{"path": "/etc/y"}]),
        ("/etc/y",),
    ),
    Fault(
        "file where a file needs a directory",
        _custom(files=[{"path": "/etc/z"}, {"path": "/etc/z/below"}]),
        ("/etc/z",),
    ),
    Fault(
        "file where a directory needs one",
        _custom(files=[{"path": "/etc/w"}], directories=[{"path": "/etc/w/below"}]),
        ("/etc/w",),
    ),
    Fault(
        "mount twice",
        _mounted("/twice", "/twice"),
        ("/twice",),
    ),
    Fault(
        "mount of a volume",
        _partitions({"type": "lvm", "logical_volumes": [{"fs_type": "xfs", "mountpoint": "/etc", "minsize": "1 GiB"}]}),
        ("/etc",),
    ),
    Fault(
        "mount of a subvolume",
        _partitions({"type": "btrfs", "minsize": "1 GiB", "subvolumes": [{"name": "s", "mountpoint": "/proc"}]}),
        ("/proc",),
    ),
    Fault(
        "mount of a partition",
        _partitions({"fs_type": "xfs", "mountpoint": "/usr/lib", "minsize": "1 GiB"}),
        ("/usr/lib",),
    ),
    Fault(
        "mount of two partitions",
        _partitions({"fs_type": "xfs", "mountpoint": "/tw"}, {"fs_type": "xfs", "mountpoint": "/tw"}),
        ("/tw",),
    ),
    Fault(
        "repository without a key to check", _repository_with(id="unkeyed", baseurls=_URL, gpgcheck=True), ("unkeyed",)
    ),
    Fault("repository with no such key", _repository_with(id="oddkey", baseurls=_URL, gpgkeys=["KEY"]), ("oddkey",)),
    *(
        Fault(f"file {name!r} of a repository", _repository_with(id="filed", baseurls=_URL, filename=name), (name,))
        for name in ("a b.repo", "a/b.repo", "ü.repo", "x" * 251)
    ),
    Fault("file of a repository by its id", _repository_with(id="a b", baseurls=_URL), ("a b",)),
    Fault("redacted password", _custom(user=[{"name": "red", "password": "<REDACTED>"}]), ("red", "password")),
)
FAULTS: Final = (*UNBUILDABLE, *FORM, *RULES)


@st.composite
def faulty_blueprints(draw: st.DrawFn) -> tuple[Json, Fault]:
    """A blueprint that would be valid but for one fault."""
    document = copy.deepcopy(draw(blueprints()))
    fault = draw(st.sampled_from(FAULTS))
    fault.plant(document)
    return document, fault
