"""What back-ends are asked before a build can be put together, and what they answered.

Questions that do not need each other's answers are in one `Questions` and can be asked at the same time; `FollowUp`
holds those that need the first answers. Together with the submission a build waits three times for back-ends, four
times with a content template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from domain import applicability
from domain.applicability import PolicyNotApplicableError, PolicyQuestion
from domain.compose.request import ComposeRequest, Json
from domain.compose.source import ImageSource, get_rhel_version, list_repositories
from domain.content import ContentRepository, Policy, Snapshot, Template
from domain.distributions import Repository
from domain.errors import InvalidRequestError
from domain.uuids import is_uuid

_CUSTOMER_REPOSITORIES: Final = ("payload_repositories", "custom_repositories")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Questions:
    """What back-ends can be asked at once for a request; each text is in its tuple once.

    `red_hat_urls` and `customer_urls` are addresses of Red Hat's and of customers' repositories. `red_hat_ids` and
    `customer_ids` are UUIDs of repositories that may be either. `template` is the id of the content template, `sources`
    are ids of cloud accounts, `policy` is the compliance policy. `snapshot_date` is a time in UTC and whole seconds
    (RFC 3339); the snapshots of that time are asked for in the follow-up. `template`, `policy` and `snapshot_date` are
    None where the request has none.
    """

    red_hat_urls: tuple[str, ...] = ()
    customer_urls: tuple[str, ...] = ()
    red_hat_ids: tuple[str, ...] = ()
    customer_ids: tuple[str, ...] = ()
    template: str | None = None
    sources: tuple[str, ...] = ()
    policy: PolicyQuestion | None = None
    snapshot_date: str | None = None

    @property
    def concern_content_sources(self) -> bool:
        """Whether any of the first questions is for content sources."""
        return bool(self.red_hat_urls or self.customer_urls or self.red_hat_ids or self.customer_ids or self.template)

    @property
    def require_content_sources(self) -> bool:
        """Whether the build is impossible without content sources.

        A build from the latest content only becomes better by its answers: it works without them.
        """
        return self.snapshot_date is not None or self.template is not None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What content sources can be asked once the first answers are known.

    `snapshots_of` are the ids of repositories whose snapshots of the time `date` (RFC 3339, UTC) are wanted;
    `template_repositories` are the ids of the template's repositories.
    """

    date: str = ""
    snapshots_of: tuple[str, ...] = ()
    template_repositories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What the back-ends answered.

    `red_hat` and `customer` are the repositories of Red Hat and of customers, `snapshots` those for the request's date.
    `accounts` is the cloud account of each source, None for a source that has none. `policy` is None where the policy
    is unknown. `tailoring` is JSON text, None where the policy asks for nothing; `no_tailoring` says that the policy
    has no tailoring for the minor version.
    """

    red_hat: tuple[ContentRepository, ...] = ()
    customer: tuple[ContentRepository, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    template: Template | None = None
    accounts: Mapping[str, str | None] = field(default_factory=dict)
    policy: Policy | None = None
    tailoring: str | None = None
    no_tailoring: bool = False


def create_questions(request: ComposeRequest, source: ImageSource) -> Questions:
    """Decide what back-ends are asked for a request.

    Raises InvalidRequestError for a snapshot date in an unknown form, and for a compliance policy where the image is
    not of a RHEL with major and minor version.
    """
    date = parse_snapshot_date(request.image.snapshot_date)
    return Questions(
        red_hat_urls=_unique(_list_red_hat_urls(request, source)),
        customer_urls=() if date is None else _unique(_list_customer_urls(request)),
        red_hat_ids=_unique(_list_red_hat_ids(request)),
        customer_ids=_unique(_list_customer_ids(request)),
        template=request.image.content_template or None,
        sources=_unique(_list_sources(request)),
        policy=_create_policy_question(request, source),
        snapshot_date=date,
    )


def create_follow_up(questions: Questions, answers: Answers) -> FollowUp:
    """Decide what content sources is asked after the answers to the first questions."""
    if answers.template is not None:
        return FollowUp(template_repositories=answers.template.repository_uuids)
    if questions.snapshot_date is None:
        return FollowUp()
    known = [*answers.red_hat, *answers.customer]
    return FollowUp(questions.snapshot_date, _unique(iter(repository.uuid for repository in known)))


def parse_snapshot_date(text: str) -> str | None:
    """Convert a request's snapshot date to UTC and whole seconds (RFC 3339); None for an empty text.

    Raises InvalidRequestError for a text that is neither a time as in RFC 3339 nor yyyy-mm-dd.
    """
    if not text:
        return None
    try:
        return _parse_time(text).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            "image_requests[0].snapshot_date: expected a time as in RFC 3339, or yyyy-mm-dd"
        ) from None


def _parse_time(text: str) -> datetime:
    if _DAY.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    # RFC 3339 allows fractions of any length, `fromisoformat` at most six digits.
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper())


def is_tagged(repository: Repository) -> bool:
    """Whether content sources does not know a repository: it is for some image types only, and not Red Hat's."""
    return bool(repository.image_type_tags) and not repository.rhsm


def _create_policy_question(request: ComposeRequest, source: ImageSource) -> PolicyQuestion | None:
    policy_id = request.get_customization("openscap", {}).get("policy_id")
    if policy_id is None:
        return None
    try:
        return applicability.create_question(policy_id, get_rhel_version(source))
    except PolicyNotApplicableError as error:
        raise InvalidRequestError(error.detail) from None


def _list_red_hat_urls(request: ComposeRequest, source: ImageSource) -> Iterator[str]:
    if request.image.content_template:
        return
    for repository in list_repositories(source, request.image):
        wanted = not is_tagged(repository) if request.image.snapshot_date else repository.rhsm
        if wanted and repository.baseurl:
            yield repository.baseurl


def _list_customer_urls(request: ComposeRequest) -> Iterator[str]:
    for payload in request.get_customization("payload_repositories", ()):
        if payload.get("baseurl"):
            yield payload["baseurl"]
    for custom in request.get_customization("custom_repositories", ()):
        yield from filter(None, custom.get("baseurl", ()))


def _list_red_hat_ids(request: ComposeRequest) -> Iterator[str]:
    if not request.image.content_template:
        yield from _list_ids(request, *_CUSTOMER_REPOSITORIES)
    elif request.has_customization("subscription"):
        # With a template, the labels of these repositories become content sets of the subscription.
        yield from _list_ids(request, "custom_repositories")


def _list_customer_ids(request: ComposeRequest) -> Iterator[str]:
    if not request.image.content_template:
        yield from _list_ids(request, *_CUSTOMER_REPOSITORIES)


def _list_ids(request: ComposeRequest, *kinds: str) -> Iterator[str]:
    for kind in kinds:
        repositories: tuple[Json, ...] = request.get_customization(kind, ())
        for repository in repositories:
            if is_uuid(repository.get("id", "")):
                yield repository["id"].lower()


def _list_sources(request: ComposeRequest) -> Iterator[str]:
    if request.image.upload_type == "aws":
        sources = request.image.upload_options.get("share_with_sources", ())
        yield from (source for source in sources if isinstance(source, str))


def _unique(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
