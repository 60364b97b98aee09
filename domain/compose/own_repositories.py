"""A customer's own repositories: those of the build (payload), and those the machine will have (custom)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from domain.compose.lookups import Answers
from domain.compose.repositories import (
    red_hat_ids,
    refuse_without_snapshots,
    snapshots_by_repository,
    template_snapshots,
)
from domain.compose.request import ComposeRequest, Json
from domain.compose.snapshots import ContentSettings, as_snapshot, latest_url, same, snapshot_url
from domain.content import UPLOAD, ContentRepository, Snapshot
from domain.errors import InvalidRequestError
from domain.nulls import without_nulls
from domain.texts import listed

_PAYLOAD: Final = (
    "baseurl",
    "metalink",
    "mirrorlist",
    "gpgkey",
    "check_gpg",
    "check_repo_gpg",
    "ignore_ssl",
    "module_hotfixes",
    "rhsm",
)
_CUSTOM: Final = (
    "id",
    "name",
    "baseurl",
    "gpgkey",
    "check_gpg",
    "check_repo_gpg",
    "module_hotfixes",
    "filename",
    "metalink",
    "mirrorlist",
    "priority",
    "ssl_verify",
    "enabled",
)


def payload_repositories(
    request: ComposeRequest, given: Iterable[Json], answers: Answers, settings: ContentSettings
) -> list[dict[str, Any]]:
    """The composer's `payload_repositories`.

    Raises InvalidRequestError naming one that has no snapshot for the request's date.
    """
    if request.image.content_template:
        red_hat = red_hat_ids(answers)
        return [
            as_snapshot(repository, snapshot_url(snapshot, settings))
            for repository, snapshot in template_snapshots(request, answers)
            if repository.uuid not in red_hat
        ]
    kept = _not_red_hat(given, answers)
    if request.image.snapshot_date:
        dated = _dated(request, kept, answers, lambda entry: [entry.get("baseurl", "")])
        return [as_snapshot(repository, snapshot_url(snapshot, settings)) for repository, snapshot in dated]
    known = _by_id(answers)
    return [_payload(entry, known.get(_id(entry)), settings) for entry in kept]


def custom_repositories(
    request: ComposeRequest, given: Iterable[Json], answers: Answers, settings: ContentSettings
) -> list[dict[str, Any]]:
    """The composer's `custom_repositories`. Raises InvalidRequestError as `payload_repositories` does."""
    if request.image.content_template:
        return []
    kept = _not_red_hat(given, answers)
    if request.image.snapshot_date:
        dated = _dated(request, kept, answers, lambda entry: entry.get("baseurl", ()))
        return [_custom_snapshot(repository, snapshot) for repository, snapshot in dated]
    known = _by_id(answers)
    return [_custom(entry, known.get(_id(entry)), settings) for entry in kept]


def _not_red_hat(given: Iterable[Json], answers: Answers) -> list[Json]:
    red_hat = red_hat_ids(answers)
    return [entry for entry in given if _id(entry) not in red_hat]


def _by_id(answers: Answers) -> Mapping[str, ContentRepository]:
    """The customer's own repositories; of several with one id it is the first."""
    return {repository.uuid: repository for repository in reversed(answers.own)}


def _id(entry: Json) -> str:
    return str(entry.get("id", "")).lower()


def _said(entry: Json, fields: Iterable[str]) -> dict[str, Any]:
    """What a request says of a repository: empty text and an empty list say nothing, but the id has to be there."""
    return {name: entry[name] for name in fields if name in entry and (name == "id" or entry[name] not in ("", []))}


def _dated(
    request: ComposeRequest,
    entries: Iterable[Json],
    answers: Answers,
    addresses: Callable[[Json], Iterable[str]],
) -> Iterator[tuple[ContentRepository, Snapshot]]:
    """Each repository with its snapshot: it is the first that is known at any of its addresses, else that of its id."""
    by_url = {same(repository.url): repository for repository in answers.own if repository.url}
    by_id = _by_id(answers)
    snapshots = snapshots_by_repository(answers.snapshots)
    for entry in entries:
        urls = [url for url in addresses(entry) if url]
        at_urls = (by_url[same(url)] for url in urls if same(url) in by_url)
        repository = next(at_urls, None) or by_id.get(_id(entry))
        if repository is not None:
            refuse_without_snapshots(repository)
        snapshot = None if repository is None else snapshots.get(repository.uuid)
        if repository is None or snapshot is None:
            named = listed(urls) or entry.get("id", "a repository without an address")
            raise InvalidRequestError(f"No snapshot for {request.image.snapshot_date} of {named}")
        yield repository, snapshot


def _payload(entry: Json, known: ContentRepository | None, settings: ContentSettings) -> dict[str, Any]:
    made = _said(entry, _PAYLOAD)
    if known is None:
        return made
    baseurl = _address(known, settings)
    if baseurl:
        made.setdefault("baseurl", baseurl)
    if known.gpg_key and "gpgkey" not in made:
        made["gpgkey"] = known.gpg_key
        made.setdefault("check_gpg", True)
    if known.module_hotfixes is not None:
        made.setdefault("module_hotfixes", known.module_hotfixes)
    return made


def _custom(entry: Json, known: ContentRepository | None, settings: ContentSettings) -> dict[str, Any]:
    made = _said(entry, _CUSTOM)
    if known is None:
        return made
    baseurl = _address(known, settings)
    if known.name:
        made.setdefault("name", known.name)
    if baseurl:
        made.setdefault("baseurl", [baseurl])
    if known.gpg_key and "gpgkey" not in made:
        made["gpgkey"] = [known.gpg_key]
        made.setdefault("check_gpg", True)
    if known.gpg_key and known.metadata_verification is not None:
        made.setdefault("check_repo_gpg", known.metadata_verification)
    if known.module_hotfixes is not None:
        made.setdefault("module_hotfixes", known.module_hotfixes)
    return made


def _address(known: ContentRepository, settings: ContentSettings) -> str:
    if known.origin == UPLOAD or not known.url:  # what was uploaded has no address of its own
        return latest_url(known, settings) if known.latest_snapshot_url else ""
    return known.url


def _custom_snapshot(repository: ContentRepository, snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as the machine has it later: at the address it can reach, and switched off."""
    fields = {
        "id": repository.uuid,
        "name": repository.name or None,
        "baseurl": [snapshot.url],
        "gpgkey": [repository.gpg_key] if repository.gpg_key else None,
        "check_gpg": True if repository.gpg_key else None,
        "check_repo_gpg": repository.metadata_verification,
        "module_hotfixes": repository.module_hotfixes,
        "enabled": False,
    }
    return without_nulls(fields)
