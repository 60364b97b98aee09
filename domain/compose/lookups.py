"""What has to be asked of back-ends before a build can be put together, and their answers, as data.

Questions that do not need each other's answers are in one `Questions`; those that do come from `follow_up`. With the
submission that makes three waits, four with a content template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from domain import policies
from domain.compose.request import ComposeRequest, Json
from domain.content import ContentRepository, Policy, Snapshot, Template
from domain.distributions import Distribution, Repository
from domain.errors import InvalidRequestError
from domain.policies import PolicyMisfitError, PolicyQuestion
from domain.uuids import is_uuid

_KINDS: Final = ("payload_repositories", "custom_repositories")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Questions:
    """What can be asked at once.

    `red_hat_urls` and `own_urls` are addresses of Red Hat's repositories and of others, `red_hat_ids` and `own_ids`
    UUIDs of what may be either, `template` and `policy` None where there is none, `sources` ids of cloud accounts.
    """

    red_hat_urls: tuple[str, ...] = ()
    own_urls: tuple[str, ...] = ()
    red_hat_ids: tuple[str, ...] = ()
    own_ids: tuple[str, ...] = ()
    template: str | None = None
    sources: tuple[str, ...] = ()
    policy: PolicyQuestion | None = None

    @property
    def need_content_sources(self) -> bool:
        """Whether any of them is for content sources."""
        return bool(self.red_hat_urls or self.own_urls or self.red_hat_ids or self.own_ids or self.template)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What can be asked once repositories or the template are known: snapshots for `date`, or repositories."""

    date: str = ""
    snapshots_of: tuple[str, ...] = ()
    template_repositories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found out; `red_hat` and `own` are the repositories of Red Hat's and of other origins.

    `snapshots` are those for the request's date, `accounts` the cloud account of each source, None for one that is
    none. `tailoring` is JSON text, None where the policy asks for nothing; `no_tailoring` says that the policy has none
    for the minor version.
    """

    red_hat: tuple[ContentRepository, ...] = ()
    own: tuple[ContentRepository, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    template: Template | None = None
    accounts: Mapping[str, str | None] = field(default_factory=dict)
    policy: Policy | None = None
    tailoring: str | None = None
    no_tailoring: bool = False


def questions(request: ComposeRequest, distribution: Distribution | None, *, content_sources: bool) -> Questions:
    """What `request` makes us ask first; `content_sources` False where there is nobody to ask without need.

    Raises InvalidRequestError for a snapshot date that is none, and for a policy that cannot apply.
    """
    snapshot_date(request)
    ask = content_sources or request.image.has_snapshots
    return Questions(
        red_hat_urls=_unique(_red_hat_urls(request, distribution)) if ask else (),
        own_urls=_unique(_own_urls(request)) if request.image.snapshot_date else (),
        red_hat_ids=_unique(_red_hat_ids(request)) if ask else (),
        own_ids=_unique(_own_ids(request)) if ask else (),
        template=request.image.content_template or None,
        sources=_unique(_sources(request)),
        policy=policy_question(request, distribution),
    )


def follow_up(request: ComposeRequest, answers: Answers) -> FollowUp:
    """What the first answers make us ask."""
    if answers.template is not None:
        return FollowUp(template_repositories=answers.template.repository_uuids)
    date_wanted = snapshot_date(request)
    if date_wanted is None:
        return FollowUp()
    known = [*answers.red_hat, *answers.own]
    return FollowUp(date=date_wanted, snapshots_of=_unique(iter(repository.uuid for repository in known)))


def snapshot_date(request: ComposeRequest) -> str | None:
    """The request's snapshot date in UTC and whole seconds, RFC 3339; None where there is none.

    Raises InvalidRequestError for what is neither RFC 3339 nor yyyy-mm-dd.
    """
    text = request.image.snapshot_date
    if not text:
        return None
    try:
        return _moment(text).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            "image_requests[0].snapshot_date: expected a time as in RFC 3339, or yyyy-mm-dd"
        ) from None


def _moment(text: str) -> datetime:
    if _DAY.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    # Fractions of any length are allowed there, and not here.
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper())


def policy_question(request: ComposeRequest, distribution: Distribution | None) -> PolicyQuestion | None:
    """The policy the request names, for the distribution's version.

    Raises InvalidRequestError naming the policy where the image is not of a RHEL with major and minor version.
    """
    policy_id = (request.customizations or {}).get("openscap", {}).get("policy_id")
    if policy_id is None:
        return None
    try:
        return policies.question(policy_id, distribution)
    except PolicyMisfitError as misfit:
        raise InvalidRequestError(misfit.detail) from None


def own_repositories(request: ComposeRequest, kind: str) -> tuple[Json, ...]:
    """The request's `payload_repositories` or `custom_repositories`."""
    return tuple((request.customizations or {}).get(kind, ()))


def is_tagged(repository: Repository) -> bool:
    """Whether a repository is there for some image types only, and not Red Hat's: snapshots do not know it."""
    return bool(repository.image_type_tags) and not repository.rhsm


def image_repositories(request: ComposeRequest, distribution: Distribution | None) -> tuple[Repository, ...]:
    """The distribution's repositories for the image; none for a bootable container."""
    if distribution is None:
        return ()
    return distribution.architecture(request.image.architecture).repositories_for(request.image.image_type)


def _red_hat_urls(request: ComposeRequest, distribution: Distribution | None) -> Iterator[str]:
    if request.image.content_template:
        return
    for repository in image_repositories(request, distribution):
        wanted = not is_tagged(repository) if request.image.snapshot_date else repository.rhsm
        if wanted and repository.baseurl:
            yield repository.baseurl


def _own_urls(request: ComposeRequest) -> Iterator[str]:
    for payload in own_repositories(request, "payload_repositories"):
        if payload.get("baseurl"):
            yield payload["baseurl"]
    for custom in own_repositories(request, "custom_repositories"):
        yield from filter(None, custom.get("baseurl", ()))


def _red_hat_ids(request: ComposeRequest) -> Iterator[str]:
    if not request.image.content_template:
        yield from _ids(request, *_KINDS)
    elif "subscription" in (request.customizations or {}):
        yield from _ids(request, "custom_repositories")  # only for the content sets


def _own_ids(request: ComposeRequest) -> Iterator[str]:
    if not request.image.content_template:
        yield from _ids(request, *_KINDS)


def _ids(request: ComposeRequest, *kinds: str) -> Iterator[str]:
    for kind in kinds:
        for repository in own_repositories(request, kind):
            if is_uuid(repository.get("id", "")):
                yield repository["id"].lower()


def _sources(request: ComposeRequest) -> Iterator[str]:
    if request.image.upload_type == "aws":
        sources = request.image.upload_options.get("share_with_sources", ())
        yield from (source for source in sources if isinstance(source, str))


def _unique(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
