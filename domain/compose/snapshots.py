"""Where content sources keeps what, and how the composer is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from domain.content import ContentRepository, Snapshot
from domain.nulls import without_nulls


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """Where builds read content: snapshots lie below `repo_url`, those by date and template below `repo_prefix` there.

    `insights_client_proxy` and `patch_url` go to the machines that are registered.
    """

    repo_url: str = ""
    repo_prefix: str = ""
    insights_client_proxy: str = ""
    patch_url: str = ""


def same(url: str) -> str:
    """The form in which two addresses of one repository are equal."""
    return url.rstrip("/")


def joined(*parts: str) -> str:
    """The parts of an address with one slash at each joint; a trailing one stays."""
    given = [part for part in parts if part]
    first, *others = given
    for part in others:
        first = f"{first.rstrip('/')}/{part.lstrip('/')}"
    return first


def snapshot_url(snapshot: Snapshot, settings: ContentSettings) -> str:
    """Where a build reads a snapshot by date or of a template."""
    return joined(settings.repo_url, settings.repo_prefix, snapshot.repository_path)


def latest_url(repository: ContentRepository, settings: ContentSettings) -> str:
    """Where a build reads a repository's latest snapshot."""
    return joined(settings.repo_url, urlsplit(repository.latest_snapshot_url).path)


def signed(repository: ContentRepository) -> dict[str, Any]:
    """The repository's key and that it is to be checked; nothing where it has none."""
    return {"gpgkey": repository.gpg_key, "check_gpg": True} if repository.gpg_key else {}


def as_snapshot(repository: ContentRepository, baseurl: str) -> dict[str, Any]:
    """The composer's repository for a snapshot at `baseurl`."""
    flags = {
        "module_hotfixes": repository.module_hotfixes,
        "check_repo_gpg": repository.metadata_verification,
    }
    return {
        "baseurl": baseurl,
        "rhsm": False,
        **signed(repository),
        **without_nulls(flags),
    }
