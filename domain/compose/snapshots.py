"""URLs of repository snapshots in Red Hat's content sources service, and the composer's repository entries for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from domain.content import ContentRepository, Snapshot
from domain.nulls import without_nulls


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """URLs of Red Hat's services; an empty string means not configured.

    Builds read snapshots from `repo_url`. The URL of a snapshot that is selected by date or by template is
    `repo_url`/`repo_prefix`/path. `insights_client_proxy` and `patch_url` are written into images, for the machines
    that register with Red Hat.
    """

    repo_url: str = ""
    repo_prefix: str = ""
    insights_client_proxy: str = ""
    patch_url: str = ""


def normalize_url(url: str) -> str:
    """Return the URL without trailing slashes, so that URLs of one repository compare equal."""
    return url.rstrip("/")


def join_url(*parts: str) -> str:
    """Join the parts of a URL with one slash between them. A slash at the end stays; empty parts are skipped.

    Raises ValueError if all parts are empty.
    """
    joined, *others = [part for part in parts if part]
    for part in others:
        joined = f"{joined.rstrip('/')}/{part.lstrip('/')}"
    return joined


def get_snapshot_url(snapshot: Snapshot, settings: ContentSettings) -> str:
    """Return the URL at which builds read a snapshot that is selected by date or by template."""
    return join_url(settings.repo_url, settings.repo_prefix, snapshot.repository_path)


def get_latest_snapshot_url(repository: ContentRepository, settings: ContentSettings) -> str:
    """Return the URL at which builds read the latest snapshot of a repository.

    `repo_prefix` is absent, because content sources names the latest snapshot by a whole URL, whose path includes it.
    """
    return join_url(settings.repo_url, urlsplit(repository.latest_snapshot_url).path)


def build_gpg_fields(repository: ContentRepository) -> dict[str, Any]:
    """Return the fields `gpgkey` and `check_gpg` if the repository has a key, otherwise an empty dict."""
    return {"gpgkey": repository.gpg_key, "check_gpg": True} if repository.gpg_key else {}


def build_snapshot_entry(repository: ContentRepository, baseurl: str) -> dict[str, Any]:
    """Return the entry in the composer's `repositories` for a snapshot that builds read at `baseurl`."""
    flags = {
        "module_hotfixes": repository.module_hotfixes,
        "check_repo_gpg": repository.metadata_verification,
    }
    return {
        "baseurl": baseurl,
        "rhsm": False,  # tells the composer that no subscription is needed to read the snapshot
        **build_gpg_fields(repository),
        **without_nulls(flags),
    }
