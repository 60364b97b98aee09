"""A customer's own repositories: builds read payload repositories; finished machines are set up with custom ones.

Sources: openapi.yaml, schemas Repository and CustomRepository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from domain.compose.context import BuildContext
from domain.compose.customization_rules import ADDRESSES, lacks_address
from domain.compose.repositories import (
    check_snapshotting,
    find_red_hat_ids,
    index_snapshots,
    list_template_snapshots,
)
from domain.compose.request import Json
from domain.compose.snapshots import (
    ContentSettings,
    build_snapshot_entry,
    get_latest_snapshot_url,
    get_snapshot_url,
    normalize_url,
)
from domain.content import UPLOAD, ContentRepository, Snapshot
from domain.errors import InvalidRequestError
from domain.nulls import without_nulls
from domain.texts import list_names

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
    """Return the composer's `payload_repositories`; with a content template, the template's repositories of customers.

    Raises InvalidRequestError, which names a repository that has no snapshot for the request's date, or a template
    without snapshots.
    """
    image, content = context.request.image, context.content
    if image.content_template:
        red_hat = find_red_hat_ids(context.answers)
        return [
            build_snapshot_entry(repository, get_snapshot_url(snapshot, content))
            for repository, snapshot in list_template_snapshots(context)
            if repository.uuid not in red_hat
        ]
    entries = _list_entries(context, "payload_repositories")
    if image.snapshot_date:
        dated = map(_create_snapshot_finder(context), entries)
        return [build_snapshot_entry(repository, get_snapshot_url(snapshot, content)) for repository, snapshot in dated]
    by_id = _index_customer_repositories(context)
    _check_addresses(entries)
    return [_write_payload(entry, by_id.get(_get_id(entry)), content) for entry in entries]


def write_custom_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """Return the composer's `custom_repositories`; an empty list with a content template.

    Raises InvalidRequestError, which names a repository that has no snapshot for the request's date.
    """
    image = context.request.image
    if image.content_template:
        return []
    entries = _list_entries(context, "custom_repositories")
    if image.snapshot_date:
        dated = map(_create_snapshot_finder(context), entries)
        return [_write_custom_snapshot(repository, snapshot) for repository, snapshot in dated]
    by_id = _index_customer_repositories(context)
    _check_addresses(entries)
    return [_write_custom(entry, by_id.get(_get_id(entry)), context.content) for entry in entries]


def find_repository_faults(context: BuildContext) -> Iterator[tuple[str, InvalidRequestError]]:
    """Yield the repositories of the request that cannot be built or set up, each with the path of its entry.

    These are repositories without a snapshot for the request's date; and, without a date, those whose address neither
    the request nor content sources knows. The composer refuses the latter.
    """
    if context.request.image.content_template:
        return
    dated = bool(context.request.image.snapshot_date)
    check = _create_snapshot_finder(context) if dated else _create_address_check(context)
    red_hat = find_red_hat_ids(context.answers)
    for kind in ("payload_repositories", "custom_repositories"):
        for index, entry in enumerate(context.request.get_customization(kind, ())):
            if _get_id(entry) in red_hat:
                continue
            try:
                check(entry)
            except InvalidRequestError as error:
                yield f"customizations.{kind}[{index}]", error


def _create_address_check(context: BuildContext) -> Callable[[Json], None]:
    by_id = _index_customer_repositories(context)

    def check(entry: Json) -> None:
        if not any(entry.get(name) for name in ADDRESSES) and _get_id(entry) not in by_id:
            raise InvalidRequestError(
                f"content sources knows no repository {entry.get('id')} of the organization; expected the id of one, "
                f"or one of {', '.join(ADDRESSES)}"
            )

    return check


def _check_addresses(entries: Iterable[Json]) -> None:
    """Raise InvalidRequestError for a repository with neither an address nor an id.

    An id is enough, known to content sources or not: a repository with an unknown id is sent as it is.
    """
    if any(map(lacks_address, entries)):
        raise InvalidRequestError(
            f"A repository of the request has no address: expected one of {', '.join(ADDRESSES)}, or an id"
        )


def _list_entries(context: BuildContext, kind: str) -> list[Json]:
    """Return the request's repositories of a kind without Red Hat's, which are among the image's repositories."""
    red_hat = find_red_hat_ids(context.answers)
    entries: Iterable[Json] = context.request.get_customization(kind, ())
    return [entry for entry in entries if _get_id(entry) not in red_hat]


def _index_customer_repositories(context: BuildContext) -> Mapping[str, ContentRepository]:
    """Return customers' repositories by id, the first of several with the same id."""
    return {repository.uuid: repository for repository in reversed(context.answers.customer)}


def _get_id(entry: Json) -> str:
    return str(entry.get("id", "")).lower()


def _copy_fields(entry: Json, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields with these names.

    Empty texts and lists are left out, except an `id`, which the composer needs.
    """
    return {name: entry[name] for name in names if name in entry and (name == "id" or entry[name] not in ("", []))}


def _create_snapshot_finder(context: BuildContext) -> Callable[[Json], tuple[ContentRepository, Snapshot]]:
    """Return a function that finds the repository of an entry of the request, and its snapshot of the request's date.

    The repository is the first one that content sources knows at a URL of the entry; otherwise the one with its id.
    The function raises InvalidRequestError if there is no such snapshot.
    """
    customer = context.answers.customer
    by_url = {normalize_url(repository.url): repository for repository in customer if repository.url}
    by_id = _index_customer_repositories(context)
    snapshots = index_snapshots(context.answers.snapshots)

    def find(entry: Json) -> tuple[ContentRepository, Snapshot]:
        urls = _list_urls(entry)
        at_urls = (by_url[normalize_url(url)] for url in urls if normalize_url(url) in by_url)
        repository = next(at_urls, None) or by_id.get(_get_id(entry))
        if repository is not None:
            check_snapshotting(repository)
        snapshot = None if repository is None else snapshots.get(repository.uuid)
        if repository is None or snapshot is None:
            description = list_names(urls) or entry.get("id", "a repository without an address")
            raise InvalidRequestError(f"No snapshot for {context.request.image.snapshot_date} of {description}")
        return repository, snapshot

    return find


def _list_urls(entry: Json) -> list[str]:
    """The entry's base URLs: payload repositories have one, custom ones a list."""
    urls = entry.get("baseurl", ())
    return [url for url in ([urls] if isinstance(urls, str) else urls) if url]


def _write_payload(entry: Json, repository: ContentRepository | None, settings: ContentSettings) -> dict[str, Any]:
    fields = _copy_fields(entry, _PAYLOAD_FIELDS)
    if repository is None:
        return fields
    baseurl = find_latest_url(repository, settings)
    if baseurl:
        fields.setdefault("baseurl", baseurl)
    if repository.gpg_key and "gpgkey" not in fields:
        fields["gpgkey"] = repository.gpg_key
        fields.setdefault("check_gpg", True)
    if repository.module_hotfixes is not None:
        fields.setdefault("module_hotfixes", repository.module_hotfixes)
    return fields


def _write_custom(entry: Json, repository: ContentRepository | None, settings: ContentSettings) -> dict[str, Any]:
    fields = _copy_fields(entry, _CUSTOM_FIELDS)
    if repository is None:
        return fields
    baseurl = find_latest_url(repository, settings)
    if repository.name:
        fields.setdefault("name", repository.name)
    if baseurl:
        fields.setdefault("baseurl", [baseurl])
    if repository.gpg_key and "gpgkey" not in fields:
        fields["gpgkey"] = [repository.gpg_key]
        fields.setdefault("check_gpg", True)
    if repository.gpg_key and repository.metadata_verification is not None:
        fields.setdefault("check_repo_gpg", repository.metadata_verification)
    if repository.module_hotfixes is not None:
        fields.setdefault("module_hotfixes", repository.module_hotfixes)
    return fields


def find_latest_url(repository: ContentRepository, settings: ContentSettings) -> str:
    """Return the URL of a repository's latest content; empty if content sources names none."""
    if (
        repository.origin == UPLOAD or not repository.url
    ):  # an uploaded repository has no URL of its own, only snapshots
        return get_latest_snapshot_url(repository, settings) if repository.latest_snapshot_url else ""
    return repository.url


def _write_custom_snapshot(repository: ContentRepository, snapshot: Snapshot) -> dict[str, Any]:
    """Return the machine's entry for a snapshot: with the URL that machines can reach, and disabled."""
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
