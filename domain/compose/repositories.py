"""The repositories an image is built from: by date, by template, or the latest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from domain.compose.lookups import Answers, image_repositories, is_tagged, own_repositories
from domain.compose.request import ComposeRequest
from domain.compose.snapshots import ContentSettings, as_snapshot, latest_url, same, signed, snapshot_url
from domain.content import RED_HAT, ContentRepository, Snapshot
from domain.distributions import Distribution, Repository
from domain.errors import InvalidRequestError
from domain.nulls import without_nulls
from domain.texts import listed


def composer_repositories(
    request: ComposeRequest, distribution: Distribution | None, answers: Answers, settings: ContentSettings
) -> list[dict[str, Any]]:
    """The composer's `repositories`; none for a bootable container.

    Raises InvalidRequestError naming the repositories, or the template, that have no snapshot.
    """
    if distribution is None:
        return []
    if request.image.content_template:
        return _of_template(request, answers, settings)
    repositories = image_repositories(request, distribution)
    if request.image.snapshot_date:
        return _of_date(request, repositories, answers, settings)
    return _latest(request, repositories, answers, settings)


def snapshots_by_repository(snapshots: Iterable[Snapshot]) -> dict[str, Snapshot]:
    """Each repository's snapshot by the repository's id."""
    return {snapshot.repository_uuid: snapshot for snapshot in snapshots}


def refuse_without_snapshots(repository: ContentRepository) -> None:
    """Raise InvalidRequestError for a repository of which none are made."""
    if not repository.snapshotting:
        raise InvalidRequestError(f"Repository {repository.url} (id: {repository.uuid}) has snapshotting disabled")


def as_it_is(repository: Repository) -> dict[str, Any]:
    """A repository of the distribution, as its file has it."""
    fields = {
        "baseurl": repository.baseurl,
        "metalink": repository.metalink,
        "rhsm": repository.rhsm,
        "gpgkey": repository.gpgkey,
        "check_gpg": repository.check_gpg,
    }
    return without_nulls(fields)


def red_hat_ids(answers: Answers) -> set[str]:
    """The ids of Red Hat's repositories.

    Content sources was asked for them by origin, and need not repeat the origin in its answer.
    """
    return {repository.uuid for repository in answers.red_hat if repository.origin in {"", RED_HAT}}


def named_red_hat(request: ComposeRequest, answers: Answers) -> list[ContentRepository]:
    """The Red Hat repositories that the custom ones name by id, in their order."""
    by_id = {repository.uuid: repository for repository in answers.red_hat}
    named = (by_id.get(entry["id"].lower()) for entry in own_repositories(request, "custom_repositories"))
    return [repository for repository in named if repository is not None]


def image_repository_ids(request: ComposeRequest, distribution: Distribution | None, answers: Answers) -> set[str]:
    """The ids of the Red Hat repositories that the image is built from, without those that were only looked up."""
    if request.image.content_template:
        of_template = () if answers.template is None else answers.template.repository_uuids
        return red_hat_ids(answers).intersection(of_template)
    urls = {same(each.baseurl) for each in image_repositories(request, distribution) if each.baseurl}
    at_urls = {repository.uuid for repository in answers.red_hat if same(repository.url) in urls}
    return at_urls.union(repository.uuid for repository in named_red_hat(request, answers))


def _of_date(
    request: ComposeRequest, repositories: Iterable[Repository], answers: Answers, settings: ContentSettings
) -> list[dict[str, Any]]:
    by_url = {same(repository.url): repository for repository in answers.red_hat}
    snapshots = snapshots_by_repository(answers.snapshots)
    made: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    for repository in repositories:
        address = repository.baseurl or repository.metalink or repository.id
        known = by_url.get(same(address))
        if is_tagged(repository):
            made[same(address)] = as_it_is(repository)
        elif known is None:
            missing.append(address)
        else:
            _add(made, missing, known, snapshots, settings)
    for known in named_red_hat(request, answers):
        _add(made, missing, known, snapshots, settings)
    if missing:
        raise InvalidRequestError(f"No snapshot for {request.image.snapshot_date} of {listed(missing)}")
    return list(made.values())


def _add(
    made: dict[str, dict[str, Any]],
    missing: list[str],
    repository: ContentRepository,
    snapshots: dict[str, Snapshot],
    settings: ContentSettings,
) -> None:
    refuse_without_snapshots(repository)
    snapshot = snapshots.get(repository.uuid)
    if snapshot is None:
        missing.append(repository.url)
    else:
        made.setdefault(same(repository.url), as_snapshot(repository, snapshot_url(snapshot, settings)))


def _of_template(request: ComposeRequest, answers: Answers, settings: ContentSettings) -> list[dict[str, Any]]:
    red_hat = red_hat_ids(answers)
    found = [
        {"baseurl": snapshot_url(snapshot, settings), "rhsm": False, **signed(repository), "check_gpg": True}
        for repository, snapshot in template_snapshots(request, answers)
        if repository.uuid in red_hat
    ]
    if not found:
        raise InvalidRequestError(
            f"Content template {request.image.content_template} has no snapshots of Red Hat repositories"
        )
    return found


def template_snapshots(request: ComposeRequest, answers: Answers) -> Iterator[tuple[ContentRepository, Snapshot]]:
    """The template's repositories with their snapshots, in the template's order.

    Raises InvalidRequestError naming a template that is unknown, or has no repositories or no snapshots.
    """
    template = answers.template
    if template is None or not template.repository_uuids or not template.snapshots:
        reason = "is not known" if template is None else "has no repositories or no snapshots"
        raise InvalidRequestError(f"Content template {request.image.content_template} {reason}")
    known = {repository.uuid: repository for repository in (*answers.red_hat, *answers.own)}
    for snapshot in template.snapshots:
        repository = known.get(snapshot.repository_uuid)
        if repository is not None:
            yield repository, snapshot


def _latest(
    request: ComposeRequest, repositories: Iterable[Repository], answers: Answers, settings: ContentSettings
) -> list[dict[str, Any]]:
    by_url = {same(repository.url): repository for repository in answers.red_hat}
    made: dict[str, dict[str, Any]] = {}
    for repository in repositories:
        address = same(repository.baseurl or repository.metalink or repository.id)
        known = by_url.get(address) if repository.rhsm else None
        made[address] = (
            as_snapshot(known, latest_url(known, settings))
            if known is not None and known.latest_snapshot_url
            else as_it_is(repository)
        )
    for known in named_red_hat(request, answers):
        if known.latest_snapshot_url:
            made.setdefault(same(known.url), as_snapshot(known, latest_url(known, settings)))
    return list(made.values())
