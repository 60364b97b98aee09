"""What back-ends know of a customer's content: repositories, snapshots, templates, policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RED_HAT: Final = "red_hat"
UPLOAD: Final = "upload"
COMMUNITY: Final = "community"
# Everything a customer brings, as opposed to Red Hat's own.
CUSTOM_ORIGINS: Final = ("external", UPLOAD, COMMUNITY)


@dataclass(frozen=True, slots=True)
class ContentRepository:
    """A repository that content sources knows; text is empty and a flag None where it says nothing.

    `snapshotting` is False only where it was switched off.
    """

    uuid: str
    url: str = ""
    name: str = ""
    origin: str = ""
    label: str = ""
    gpg_key: str = ""
    module_hotfixes: bool | None = None
    metadata_verification: bool | None = None
    snapshotting: bool = True
    latest_snapshot_url: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository as it was at some time; `repository_path` is relative, `url` is where machines reach it later."""

    repository_uuid: str
    repository_path: str = ""
    url: str = ""
    detected_os_version: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A set of repositories frozen by their snapshots."""

    uuid: str
    name: str = ""
    repository_uuids: tuple[str, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A compliance policy; `ref_id` is the OpenSCAP profile it builds on, `os_major_version` RHEL's."""

    id: str
    ref_id: str
    os_major_version: int
