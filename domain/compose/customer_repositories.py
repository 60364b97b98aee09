"""A customer's own repositories: payload repositories serve the build, custom repositories the machine later on.

Sources: openapi.yaml, schemas Repository and CustomRepository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from domain.compose.context import BuildContext
from domain.compose.repositories import (
    check_snapshotting,
    find_red_hat_ids,
    index_snapshots,
    list_template_snapshots,
)
from domain.compose.request import Json
from domain.compose.snapshots import (
    ContentSettings,
    find_latest_url,
    find_snapshot_url,
    normalize_url,
    write_snapshot,
)
from domain.content import UPLOAD, ContentRepository, Snapshot
from domain.errors import InvalidRequestError
from domain.nulls import without_nulls
from domain.texts import listed

_ADDRESSES: Final = ("baseurl", "metalink", "mirrorlist")
_PAYLOAD_FIELDS: Final = (
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
_CUSTOM_FIELDS: Final = (
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


def write_payload_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """The composer's `payload_repositories`; with a content template, the template's repositories of customers.

    Raises InvalidRequestError naming a repository that has no snapshot for the request's date, or a template without
    snapshots.
    """
    image, content = context.request.image, context.content
    if image.content_template:
        red_hat = find_red_hat_ids(context.answers)
        return [
            write_snapshot(repository, find_snapshot_url(snapshot, content))
            for repository, snapshot in list_template_snapshots(context)
            if repository.uuid not in red_hat
        ]
    entries = _list_entries(context, "payload_repositories")
    if image.snapshot_date:
        dated = _find_snapshots(context, entries, lambda entry: [entry.get("baseurl", "")])
        return [write_snapshot(repository, find_snapshot_url(snapshot, content)) for repository, snapshot in dated]
    known = _index_customer_repositories(context)
    return [
        _refuse_without_address(_write_payload(entry, known.get(_get_id(entry)), content), entry) for entry in entries
    ]


def write_custom_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """The composer's `custom_repositories`; none with a content template.

    Raises InvalidRequestError naming a repository that has no snapshot for the request's date.
    """
    image = context.request.image
    if image.content_template:
        return []
    entries = _list_entries(context, "custom_repositories")
    if image.snapshot_date:
        dated = _find_snapshots(context, entries, lambda entry: entry.get("baseurl", ()))
        return [_write_custom_snapshot(repository, snapshot) for repository, snapshot in dated]
    known = _index_customer_repositories(context)
    return [
        _refuse_without_address(_write_custom(entry, known.get(_get_id(entry)), context.content), entry)
        for entry in entries
    ]


def _refuse_without_address(written: dict[str, Any], entry: Json) -> dict[str, Any]:
    """The composer's repository. Raises InvalidRequestError for one whose address is neither given nor known."""
    if any(written.get(name) for name in _ADDRESSES):
        return written
    named = f'with the id "{entry["id"]}"' if entry.get("id") else "without an id"
    raise InvalidRequestError(
        f"The address of the repository {named} is not known: expected one of {', '.join(_ADDRESSES)}"
    )


def _list_entries(context: BuildContext, kind: str) -> list[Json]:
    """The request's repositories of a kind without Red Hat's, which are among the image's repositories."""
    red_hat = find_red_hat_ids(context.answers)
    entries: Iterable[Json] = context.request.get_customization(kind, ())
    return [entry for entry in entries if _get_id(entry) not in red_hat]


def _index_customer_repositories(context: BuildContext) -> Mapping[str, ContentRepository]:
    """Customers' repositories by id; of several with one id the first."""
    return {repository.uuid: repository for repository in reversed(context.answers.customer)}


def _get_id(entry: Json) -> str:
    return str(entry.get("id", "")).lower()


def _copy_fields(entry: Json, names: Iterable[str]) -> dict[str, Any]:
    """The fields of that name. An empty text and an empty list are left out; the composer needs an empty `id` too."""
    return {name: entry[name] for name in names if name in entry and (name == "id" or entry[name] not in ("", []))}


def _find_snapshots(
    context: BuildContext, entries: Iterable[Json], get_urls: Callable[[Json], Iterable[str]]
) -> Iterator[tuple[ContentRepository, Snapshot]]:
    """Each entry's repository with its snapshot of the request's date.

    The repository is the first that content sources knows at any of the entry's addresses, else that of its id.
    """
    customer = context.answers.customer
    by_url = {normalize_url(repository.url): repository for repository in customer if repository.url}
    by_id = _index_customer_repositories(context)
    snapshots = index_snapshots(context.answers.snapshots)
    for entry in entries:
        urls = [url for url in get_urls(entry) if url]
        at_urls = (by_url[normalize_url(url)] for url in urls if normalize_url(url) in by_url)
        repository = next(at_urls, None) or by_id.get(_get_id(entry))
        if repository is not None:
            check_snapshotting(repository)
        snapshot = None if repository is None else snapshots.get(repository.uuid)
        if repository is None or snapshot is None:
            named = listed(urls) or entry.get("id", "a repository without an address")
            raise InvalidRequestError(f"No snapshot for {context.request.image.snapshot_date} of {named}")
        yield repository, snapshot


def _write_payload(entry: Json, known: ContentRepository | None, settings: ContentSettings) -> dict[str, Any]:
    written = _copy_fields(entry, _PAYLOAD_FIELDS)
    if known is None:
        return written
    baseurl = _find_url(known, settings)
    if baseurl:
        written.setdefault("baseurl", baseurl)
    if known.gpg_key and "gpgkey" not in written:
        written["gpgkey"] = known.gpg_key
        written.setdefault("check_gpg", True)
    if known.module_hotfixes is not None:
        written.setdefault("module_hotfixes", known.module_hotfixes)
    return written


def _write_custom(entry: Json, known: ContentRepository | None, settings: ContentSettings) -> dict[str, Any]:
    written = _copy_fields(entry, _CUSTOM_FIELDS)
    if known is None:
        return written
    baseurl = _find_url(known, settings)
    if known.name:
        written.setdefault("name", known.name)
    if baseurl:
        written.setdefault("baseurl", [baseurl])
    if known.gpg_key and "gpgkey" not in written:
        written["gpgkey"] = [known.gpg_key]
        written.setdefault("check_gpg", True)
    if known.gpg_key and known.metadata_verification is not None:
        written.setdefault("check_repo_gpg", known.metadata_verification)
    if known.module_hotfixes is not None:
        written.setdefault("module_hotfixes", known.module_hotfixes)
    return written


def _find_url(known: ContentRepository, settings: ContentSettings) -> str:
    """Where the latest content of a repository is; empty where content sources says nothing of it."""
    if known.origin == UPLOAD or not known.url:  # an uploaded repository exists as snapshots only
        return find_latest_url(known, settings) if known.latest_snapshot_url else ""
    return known.url


def _write_custom_snapshot(repository: ContentRepository, snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as a repository of the machine: at the address that machines reach, and disabled."""
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
