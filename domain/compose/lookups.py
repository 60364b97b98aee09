"""The lookups in back-ends that a build depends on, and their results.

`Questions` holds the lookups that can run at the same time, `FollowUp` those that need results of the first ones, and
`Answers` the results of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from domain import applicability
from domain.applicability import PolicyNotApplicableError, PolicyQuestion
from domain.compose.request import ComposeRequest, Json
from domain.compose.source import ImageSource, get_rhel_version, list_repositories
from domain.content import ContentRepository, Policy, Snapshot, Template
from domain.distributions import Repository
from domain.errors import InvalidRequestError
from domain.uuids import is_uuid

# The customizations that list repositories of a customer.
_CUSTOMER_REPOSITORIES: Final = ("payload_repositories", "custom_repositories")
_DATE_PATTERN: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP_PATTERN: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


class Subject(StrEnum):
    """What lookups are about, which a back-end may fail to answer."""

    REPOSITORIES = "repositories"
    ACCOUNTS = "accounts"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Questions:
    """The lookups for a request that can run at the same time; tuples contain no duplicates.

    - Content sources: `red_hat_urls` and `customer_urls` are the URLs of repositories to look up among Red Hat's and
      among customers' repositories. `red_hat_ids` and `customer_ids` are UUIDs to look up among the same; a request
      does not say which of the two a UUID belongs to, so a UUID may be in both. `template` is the id of a content
      template, None if the request has none.
    - Provisioning: `sources` are the ids of cloud accounts.
    - Compliance: `policy` is the compliance policy, None if the request has none.

    `snapshot_date` is the time whose snapshots the follow-up looks up, in UTC and whole seconds (RFC 3339); None if the
    request has no date.
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
    def has_content_sources_questions(self) -> bool:
        """Whether any of these lookups is for content sources."""
        return bool(self.red_hat_urls or self.customer_urls or self.red_hat_ids or self.customer_ids or self.template)

    @property
    def needs_content_sources(self) -> bool:
        """Whether the build is impossible without content sources.

        Other builds are possible even if content sources is not configured: they use the repositories as described in
        the distribution's file and in the request.
        """
        return self.snapshot_date is not None or self.template is not None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The lookups in content sources that need the first results.

    `snapshot_repository_ids` are the ids of repositories whose snapshots of the time `date` (RFC 3339, UTC; empty
    without ids) are looked up. `template_repository_ids` are the ids of the template's repositories, which are looked
    up too.
    """

    date: str = ""
    snapshot_repository_ids: tuple[str, ...] = ()
    template_repository_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """The results of the lookups.

    `red_hat` and `customer` are the repositories of Red Hat and of customers, `snapshots` those of the request's date.
    `template` is None if the template is unknown. `accounts` maps each source to its cloud account, or to None if it
    has none. `policy` is None if the policy is unknown. `tailoring` is JSON text: the policy's changes to its OpenSCAP
    profile for the minor version of RHEL; None if there are no changes. `tailoring_missing` says that the policy has no
    tailoring for the minor version.
    """

    red_hat: tuple[ContentRepository, ...] = ()
    customer: tuple[ContentRepository, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    template: Template | None = None
    accounts: Mapping[str, str | None] = field(default_factory=dict)
    policy: Policy | None = None
    tailoring: str | None = None
    tailoring_missing: bool = False


def create_questions(request: ComposeRequest, source: ImageSource) -> Questions:
    """Return the first lookups for a request.

    Raises InvalidRequestError for a snapshot date in an unknown form, and for a compliance policy if the image is not
    a RHEL release with a major and minor version.
    """
    date = normalize_snapshot_date(request.image.snapshot_date)
    return Questions(
        red_hat_urls=_unique(_list_red_hat_urls(request, source)),
        # The URLs of customers' repositories are needed only to find their snapshots.
        customer_urls=() if date is None else _unique(_list_customer_urls(request)),
        red_hat_ids=_unique(_list_red_hat_ids(request)),
        customer_ids=_unique(_list_customer_ids(request)),
        template=request.image.content_template or None,
        sources=_unique(_list_sources(request)),
        policy=_create_policy_question(request, source),
        snapshot_date=date,
    )


def find_question_faults(request: ComposeRequest, source: ImageSource) -> Iterator[tuple[str, InvalidRequestError]]:
    """Yield the errors that `create_questions` raises, each with the path of its field."""
    checks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("image_requests[0].snapshot_date", lambda: normalize_snapshot_date(request.image.snapshot_date)),
        ("customizations.openscap.policy_id", lambda: _create_policy_question(request, source)),
    )
    for path, check in checks:
        try:
            check()
        except InvalidRequestError as error:
            yield path, error


def create_follow_up(questions: Questions, answers: Answers) -> FollowUp:
    """Return the lookups that follow from the first results."""
    if answers.template is not None:
        return FollowUp(template_repository_ids=answers.template.repository_uuids)
    if questions.snapshot_date is None:
        return FollowUp()
    repositories = [*answers.red_hat, *answers.customer]
    return FollowUp(questions.snapshot_date, _unique(repository.uuid for repository in repositories))


def normalize_snapshot_date(text: str) -> str | None:
    """Convert a request's snapshot date to a time in UTC and whole seconds (RFC 3339); None for an empty text.

    Fractions of a second are cut off. A date means 00:00 UTC. Raises InvalidRequestError for a text that is neither a
    time as in RFC 3339 nor yyyy-mm-dd.
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
    if _DATE_PATTERN.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    if not _TIMESTAMP_PATTERN.fullmatch(text):
        raise ValueError(text)
    # RFC 3339 allows fractions of any length, `fromisoformat` at most six digits.
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper())


def is_unknown_to_content_sources(repository: Repository) -> bool:
    """Return whether a repository has image type tags and is not Red Hat's: content sources does not list these."""
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
        # With a date, every repository that can have snapshots is looked up; otherwise only Red Hat's.
        is_looked_up = not is_unknown_to_content_sources(repository) if request.image.snapshot_date else repository.rhsm
        if is_looked_up and repository.baseurl:
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
        # With a template, only the labels of these repositories are needed: the machine enables the repositories as
        # content sets when it registers.
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
    # `domain.compose.targets` has checked the options; other upload types have no sources.
    if request.image.upload_type == "aws":
        sources = request.image.upload_options.get("share_with_sources", ())
        yield from (source for source in sources if isinstance(source, str))


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
