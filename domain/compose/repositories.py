"""The repositories that an image is built from: snapshots of a date, snapshots of a template, or the latest content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from domain.compose.context import BuildContext
from domain.compose.lookups import Answers, is_tagged
from domain.compose.snapshots import (
    find_latest_url,
    find_snapshot_url,
    normalize_url,
    write_signature,
    write_snapshot,
)
from domain.compose.source import BootableContainer, list_repositories
from domain.content import RED_HAT, ContentRepository, Snapshot
from domain.distributions import Repository
from domain.errors import InvalidRequestError
from domain.nulls import without_nulls
from domain.texts import listed


def write_image_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """The composer's `repositories`; none for a bootable container.

    Raises InvalidRequestError naming the repositories, or the template, without a snapshot.
    """
    if isinstance(context.source, BootableContainer):
        return []
    if context.request.image.content_template:
        return _write_template_repositories(context)
    if context.request.image.snapshot_date:
        return _write_dated_repositories(context)
    return _write_latest_repositories(context)


def write_repository(repository: Repository) -> dict[str, Any]:
    """The composer's repository for one of a distribution's, as the distribution's file describes it."""
    fields = {
        "baseurl": repository.baseurl,
        "metalink": repository.metalink,
        "rhsm": repository.rhsm,
        "gpgkey": repository.gpgkey,
        "check_gpg": repository.check_gpg,
    }
    return without_nulls(fields)


def index_snapshots(snapshots: Iterable[Snapshot]) -> dict[str, Snapshot]:
    """The snapshots by the ids of their repositories."""
    return {snapshot.repository_uuid: snapshot for snapshot in snapshots}


def check_snapshotting(repository: ContentRepository) -> None:
    """Raise InvalidRequestError for a repository whose snapshots are switched off."""
    if not repository.snapshotting:
        raise InvalidRequestError(f"Repository {repository.url} (id: {repository.uuid}) has snapshotting disabled")


def find_red_hat_ids(answers: Answers) -> set[str]:
    """The ids of Red Hat's repositories.

    Content sources was asked for repositories of this origin, and may leave the origin out of its answer.
    """
    return {repository.uuid for repository in answers.red_hat if repository.origin in {"", RED_HAT}}


def find_named_red_hat(context: BuildContext) -> list[ContentRepository]:
    """Red Hat's repositories that the request's custom repositories name by id, in the request's order."""
    by_id = {repository.uuid: repository for repository in context.answers.red_hat}
    entries = context.request.get_customization("custom_repositories", ())
    named = (by_id.get(entry["id"].lower()) for entry in entries)
    return [repository for repository in named if repository is not None]


def find_image_repository_ids(context: BuildContext) -> set[str]:
    """The ids of Red Hat's repositories that the image is built from; others were asked for only to be described."""
    answers = context.answers
    if context.request.image.content_template:
        of_template = () if answers.template is None else answers.template.repository_uuids
        return find_red_hat_ids(answers).intersection(of_template)
    repositories = list_repositories(context.source, context.request.image)
    urls = {normalize_url(each.baseurl) for each in repositories if each.baseurl}
    at_urls = {repository.uuid for repository in answers.red_hat if normalize_url(repository.url) in urls}
    return at_urls.union(repository.uuid for repository in find_named_red_hat(context))


def list_template_snapshots(context: BuildContext) -> Iterator[tuple[ContentRepository, Snapshot]]:
    """The template's repositories with their snapshots, in the template's order.

    Raises InvalidRequestError naming a template that is unknown, or has no repositories or no snapshots.
    """
    answers = context.answers
    template = answers.template
    if template is None or not template.repository_uuids or not template.snapshots:
        reason = "is not known" if template is None else "has no repositories or no snapshots"
        raise InvalidRequestError(f"Content template {context.request.image.content_template} {reason}")
    known = {repository.uuid: repository for repository in (*answers.red_hat, *answers.customer)}
    for snapshot in template.snapshots:
        repository = known.get(snapshot.repository_uuid)
        if repository is not None:
            yield repository, snapshot


def _write_template_repositories(context: BuildContext) -> list[dict[str, Any]]:
    red_hat = find_red_hat_ids(context.answers)
    found = [
        {
            "baseurl": find_snapshot_url(snapshot, context.content),
            "rhsm": False,
            **write_signature(repository),
            "check_gpg": True,
        }
        for repository, snapshot in list_template_snapshots(context)
        if repository.uuid in red_hat
    ]
    if not found:
        raise InvalidRequestError(
            f"Content template {context.request.image.content_template} has no snapshots of Red Hat repositories"
        )
    return found


def _write_dated_repositories(context: BuildContext) -> list[dict[str, Any]]:
    by_url = {normalize_url(repository.url): repository for repository in context.answers.red_hat}
    snapshots = index_snapshots(context.answers.snapshots)
    written: dict[str, dict[str, Any]] = {}
    missing: list[str] = []

    def add_snapshot(repository: ContentRepository) -> None:
        check_snapshotting(repository)
        snapshot = snapshots.get(repository.uuid)
        if snapshot is None:
            missing.append(repository.url)
        else:
            url = find_snapshot_url(snapshot, context.content)
            written.setdefault(normalize_url(repository.url), write_snapshot(repository, url))

    for repository in list_repositories(context.source, context.request.image):
        address = _get_address(repository)
        known = by_url.get(normalize_url(address))
        if is_tagged(repository):
            written[normalize_url(address)] = write_repository(repository)
        elif known is None:
            missing.append(address)
        else:
            add_snapshot(known)
    for named in find_named_red_hat(context):
        add_snapshot(named)
    if missing:
        raise InvalidRequestError(f"No snapshot for {context.request.image.snapshot_date} of {listed(missing)}")
    return list(written.values())


def _write_latest_repositories(context: BuildContext) -> list[dict[str, Any]]:
    """Red Hat's repositories as their latest snapshots, where content sources knows one; the others as described."""
    by_url = {normalize_url(repository.url): repository for repository in context.answers.red_hat}
    written: dict[str, dict[str, Any]] = {}
    for repository in list_repositories(context.source, context.request.image):
        address = normalize_url(_get_address(repository))
        known = by_url.get(address) if repository.rhsm else None
        if known is not None and known.latest_snapshot_url:
            written[address] = write_snapshot(known, find_latest_url(known, context.content))
        else:
            written[address] = write_repository(repository)
    for named in find_named_red_hat(context):
        if named.latest_snapshot_url:
            latest = write_snapshot(named, find_latest_url(named, context.content))
            written.setdefault(normalize_url(named.url), latest)
    return list(written.values())


def _get_address(repository: Repository) -> str:
    return repository.baseurl or repository.metalink or repository.id
