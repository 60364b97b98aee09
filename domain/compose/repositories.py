"""The repositories that an image is built from: snapshots of a date or of a content template, or the latest content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from domain.compose.context import BuildContext
from domain.compose.lookups import Answers, is_unknown_to_content_sources
from domain.compose.snapshots import (
    build_gpg_fields,
    build_snapshot_entry,
    get_latest_snapshot_url,
    get_snapshot_url,
    normalize_url,
)
from domain.compose.source import BootableContainer, list_repositories
from domain.content import RED_HAT, ContentRepository, Snapshot
from domain.distributions import Repository
from domain.errors import InvalidRequestError
from domain.nulls import without_nulls
from domain.texts import list_names


def write_image_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """Return the composer's `repositories`; an empty list for a bootable container.

    Raises InvalidRequestError, which names the repositories or the template that have no snapshot.
    """
    if isinstance(context.source, BootableContainer):
        return []
    if context.request.image.content_template:
        return _write_template_repositories(context)
    if context.request.image.snapshot_date:
        return _write_dated_repositories(context)
    return _write_latest_repositories(context)


def write_repository(repository: Repository) -> dict[str, Any]:
    """Return the composer's entry for a repository, as the distribution's file describes it."""
    fields = {
        "baseurl": repository.baseurl,
        "metalink": repository.metalink,
        "rhsm": repository.rhsm,
        "gpgkey": repository.gpgkey,
        "check_gpg": repository.check_gpg,
    }
    return without_nulls(fields)


def index_snapshots(snapshots: Iterable[Snapshot]) -> dict[str, Snapshot]:
    """Return the snapshots by the ids of their repositories."""
    return {snapshot.repository_uuid: snapshot for snapshot in snapshots}


def check_snapshotting(repository: ContentRepository) -> None:
    """Raise InvalidRequestError if the customer has disabled snapshots of the repository."""
    if not repository.snapshotting:
        raise InvalidRequestError(f"Repository {repository.url} (id: {repository.uuid}) has snapshotting disabled")


def find_red_hat_ids(answers: Answers) -> set[str]:
    """Return the ids of Red Hat's repositories.

    The lookup was restricted to Red Hat's repositories, so a result without an origin is one of them, too.
    """
    return {repository.uuid for repository in answers.red_hat if repository.origin in {"", RED_HAT}}


def find_custom_red_hat_repositories(context: BuildContext) -> list[ContentRepository]:
    """Return the Red Hat repositories whose ids the request's custom repositories contain, in the request's order."""
    by_id = {repository.uuid: repository for repository in context.answers.red_hat}
    entries = context.request.get_customization("custom_repositories", ())
    repositories = (by_id.get(entry["id"].lower()) for entry in entries)
    return [repository for repository in repositories if repository is not None]


def find_image_repository_ids(context: BuildContext) -> set[str]:
    """Return the ids of the Red Hat repositories that the image is built from; others were only looked up."""
    answers = context.answers
    if context.request.image.content_template:
        of_template = () if answers.template is None else answers.template.repository_uuids
        return find_red_hat_ids(answers).intersection(of_template)
    repositories = list_repositories(context.source, context.request.image)
    urls = {normalize_url(each.baseurl) for each in repositories if each.baseurl}
    at_urls = {repository.uuid for repository in answers.red_hat if normalize_url(repository.url) in urls}
    return at_urls.union(repository.uuid for repository in find_custom_red_hat_repositories(context))


def list_template_snapshots(context: BuildContext) -> Iterator[tuple[ContentRepository, Snapshot]]:
    """Return the template's repositories with their snapshots, in the template's order.

    Raises InvalidRequestError if the template is unknown, has no repositories, or has no snapshots.
    """
    answers = context.answers
    template = answers.template
    if template is None or not template.repository_uuids or not template.snapshots:
        reason = "is not known" if template is None else "has no repositories or no snapshots"
        raise InvalidRequestError(f"Content template {context.request.image.content_template} {reason}")
    repositories = {repository.uuid: repository for repository in (*answers.red_hat, *answers.customer)}
    for snapshot in template.snapshots:
        repository = repositories.get(snapshot.repository_uuid)
        if repository is not None:
            yield repository, snapshot


def _write_template_repositories(context: BuildContext) -> list[dict[str, Any]]:
    red_hat = find_red_hat_ids(context.answers)
    entries = [
        {
            "baseurl": get_snapshot_url(snapshot, context.content),
            "rhsm": False,
            **build_gpg_fields(repository),
            "check_gpg": True,
        }
        for repository, snapshot in list_template_snapshots(context)
        if repository.uuid in red_hat
    ]
    if not entries:
        raise InvalidRequestError(
            f"Content template {context.request.image.content_template} has no snapshots of Red Hat repositories"
        )
    return entries


def _write_dated_repositories(context: BuildContext) -> list[dict[str, Any]]:
    by_url = {normalize_url(repository.url): repository for repository in context.answers.red_hat}
    snapshots = index_snapshots(context.answers.snapshots)
    entries_by_url: dict[str, dict[str, Any]] = {}
    missing: list[str] = []

    def add_snapshot(repository: ContentRepository) -> None:
        check_snapshotting(repository)
        snapshot = snapshots.get(repository.uuid)
        if snapshot is None:
            missing.append(repository.url)
        else:
            url = get_snapshot_url(snapshot, context.content)
            entries_by_url.setdefault(normalize_url(repository.url), build_snapshot_entry(repository, url))

    for repository in list_repositories(context.source, context.request.image):
        address = _get_address(repository)
        red_hat = by_url.get(normalize_url(address))
        if is_unknown_to_content_sources(repository):
            entries_by_url[normalize_url(address)] = write_repository(repository)
        elif red_hat is None:
            missing.append(address)
        else:
            add_snapshot(red_hat)
    for custom in find_custom_red_hat_repositories(context):
        add_snapshot(custom)
    if missing:
        raise InvalidRequestError(f"No snapshot for {context.request.image.snapshot_date} of {list_names(missing)}")
    return list(entries_by_url.values())


def _write_latest_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """Return entries of the latest snapshots.

    A repository without a known snapshot is sent as the file describes it.
    """
    by_url = {normalize_url(repository.url): repository for repository in context.answers.red_hat}
    entries_by_url: dict[str, dict[str, Any]] = {}
    for repository in list_repositories(context.source, context.request.image):
        address = normalize_url(_get_address(repository))
        red_hat = by_url.get(address) if repository.rhsm else None
        if red_hat is not None and red_hat.latest_snapshot_url:
            entries_by_url[address] = build_snapshot_entry(red_hat, get_latest_snapshot_url(red_hat, context.content))
        else:
            entries_by_url[address] = write_repository(repository)
    for custom in find_custom_red_hat_repositories(context):
        if custom.latest_snapshot_url:
            latest = build_snapshot_entry(custom, get_latest_snapshot_url(custom, context.content))
            entries_by_url.setdefault(normalize_url(custom.url), latest)
    return list(entries_by_url.values())


def _get_address(repository: Repository) -> str:
    return repository.baseurl or repository.metalink or repository.id
