"""Addresses at which builds read repositories from content sources, and how the composer is given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from domain.content import ContentRepository, Snapshot
from domain.nulls import without_nulls


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """Where builds and machines reach Red Hat's services.

    Builds read snapshots below `repo_url`; snapshots of a date and of a template lie below `repo_prefix` there.
    `insights_client_proxy` and `patch_url` are given to the machines that register with Red Hat.
    """

    repo_url: str = ""
    repo_prefix: str = ""
    insights_client_proxy: str = ""
    patch_url: str = ""


def normalize_url(url: str) -> str:
    """The form of a repository's address that addresses are compared in: without a slash at the end."""
    return url.rstrip("/")


def join_url(*parts: str) -> str:
    """Join the parts of an address with one slash between them; a slash at the end stays."""
    given = [part for part in parts if part]
    first, *others = given
    for part in others:
        first = f"{first.rstrip('/')}/{part.lstrip('/')}"
    return first


def find_snapshot_url(snapshot: Snapshot, settings: ContentSettings) -> str:
    """Where a build reads a snapshot of a date or of a template."""
    return join_url(settings.repo_url, settings.repo_prefix, snapshot.repository_path)


def find_latest_url(repository: ContentRepository, settings: ContentSettings) -> str:
    """Where a build reads the latest snapshot of a repository."""
    return join_url(settings.repo_url, urlsplit(repository.latest_snapshot_url).path)


def write_signature(repository: ContentRepository) -> dict[str, Any]:
    """The composer's fields for a repository's key, and that packages are checked with it; none without a key."""
    return {"gpgkey": repository.gpg_key, "check_gpg": True} if repository.gpg_key else {}


def write_snapshot(repository: ContentRepository, baseurl: str) -> dict[str, Any]:
    """The composer's repository for a snapshot that a build reads at `baseurl`."""
    flags = {
        "module_hotfixes": repository.module_hotfixes,
        "check_repo_gpg": repository.metadata_verification,
    }
    return {
        "baseurl": baseurl,
        "rhsm": False,
        **write_signature(repository),
        **without_nulls(flags),
    }
