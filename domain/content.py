"""Content of customers and Red Hat in back-ends: repositories, snapshots, templates and compliance policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RED_HAT: Final = "red_hat"
UPLOAD: Final = "upload"
COMMUNITY: Final = "community"
# Origins of repositories of customers, in contrast to Red Hat's.
CUSTOM_ORIGINS: Final = ("external", UPLOAD, COMMUNITY)


@dataclass(frozen=True, slots=True)
class ContentRepository:
    """A repository in the content sources service.

    Texts are empty, and flags None, if the service does not return them. `snapshotting` is False only if the customer
    has disabled snapshots.
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
    """The state of a repository at some time.

    `repository_path` is relative to the URL of content sources, for builds; `url` is the URL for finished machines.
    """

    repository_uuid: str
    repository_path: str = ""
    url: str = ""
    detected_os_version: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A set of repositories, each with a fixed snapshot."""

    uuid: str
    name: str = ""
    repository_uuids: tuple[str, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A compliance policy. `ref_id` is the id of its OpenSCAP profile, `os_major_version` that of RHEL."""

    id: str
    ref_id: str
    os_major_version: int
