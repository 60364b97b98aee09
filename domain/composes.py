"""Composes in the history, and the pages of their lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.compose_filters import DEFAULT_SORT, NO_FILTERS, ComposeFilters
from domain.labels import Labels
from domain.paging import Cursor, Page

# The age up to which lists show a compose; older composes can still be read by id.
LISTED_FOR: Final = timedelta(days=14)
# The age up to which a stored status that is not final is answered without asking the composer.
FRESH_FOR: Final = timedelta(seconds=5)
# Default limit of the requests in one page of a list, in bytes (setting MAX_LIST_BYTES).
LARGEST_LIST: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewCompose:
    """A compose to be stored.

    `request` is a ComposeRequest of openapi.yaml without passwords. `blueprint_version` is the id of the version of the
    blueprint that the build was started from; None for a build without a blueprint. `rerun_of` is the build whose
    request was used again, if any. `created_by` is the name of the user who started it, "" for unknown. `labels` are
    not part of `request`.
    """

    tenant: str
    account_number: str
    email: str
    request: Mapping[str, Any]
    image_name: str | None
    client_id: str
    blueprint_version: UUID | None = None
    rerun_of: UUID | None = None
    created_by: str = ""
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenStatus:
    """The last known status that is not final (a document of `domain.status.as_document`), and its age."""

    document: Mapping[str, Any]
    age: timedelta

    @property
    def is_fresh(self) -> bool:
        """Whether it is answered without asking the composer."""
        return self.age <= FRESH_FOR


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """When a build was first seen building, and when it became final; UTC without a time zone, None for unknown."""

    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredCompose:
    """A compose of the history.

    `request` is JSON: a string as it is stored, or UTF-8 bytes if the store returns a large request in the form that
    is shown. `created_at` is UTC without a time zone. `status` is the final status (a document of
    `domain.status.as_document`), None until it is stored; `seen` is the last known status before that, None if the
    composer has not answered a status yet.
    """

    request: str | bytes
    created_at: datetime
    image_name: str | None = None
    client_id: str | None = None
    blueprint_id: UUID | None = None
    blueprint_version: int | None = None
    rerun_of: UUID | None = None
    created_by: str | None = None
    labels: Labels = field(default_factory=dict)
    status: Mapping[str, Any] | None = None
    seen: SeenStatus | None = None
    times: BuildTimes = BuildTimes()


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """What the history stores about a build's metadata.

    `ended` says that the final status is stored. `metadata` is JSON (openapi.yaml, schema ComposeMetadata) as a string
    or UTF-8 bytes; None until it is stored.
    """

    ended: bool
    metadata: str | bytes | None = None


class RequestForm(IntEnum):
    """How much of a request a list shows."""

    WHOLE = 0
    # Without `data` in `customizations.files`.
    WITHOUT_DATA = 1
    # At most 16 kB: customizations are left out, the largest first, and then other large values.
    SUMMARY = 2


@dataclass(frozen=True, slots=True)
class RequestSizes:
    """The sizes of a request's forms in bytes.

    A form that would not be smaller than the previous one has the same size.
    """

    whole: int
    without_data: int
    summary: int

    def size_of(self, form: RequestForm) -> int:
        """Return the size of this form in bytes."""
        return (self.whole, self.without_data, self.summary)[form]


def choose_forms(sizes: Sequence[RequestSizes], largest: int) -> list[RequestForm]:
    """Choose the form in which a page shows each of its requests, so that their total is at most `largest` bytes.

    As few requests as possible are shortened, beginning with those that shrink most. First the contents of files are
    left out; if that does not suffice, further customizations. Requests that do not shrink stay whole, so the
    total may still exceed `largest`.
    """
    forms = [RequestForm.WHOLE] * len(sizes)
    total = sum(each.whole for each in sizes)
    for shorter in (RequestForm.WITHOUT_DATA, RequestForm.SUMMARY):
        saved = [each.size_of(form) - each.size_of(shorter) for each, form in zip(sizes, forms, strict=True)]
        for number in sorted(range(len(sizes)), key=saved.__getitem__, reverse=True):
            if total <= largest or saved[number] <= 0:
                break
            forms[number] = shorter
            total -= saved[number]
    return forms


class ListedCompose(NamedTuple):
    """A row of a list; a tuple, because a page has a hundred of them.

    Ids are UUIDs as text, `request` is as in StoredCompose, `created_at` is UTC without a time zone. `shortened` says
    that parts of the request are left out, because the page would have been too large. `status` is the last known
    status, a JSON document of `domain.status.as_document`, None if it is unknown; a large one has no error and no
    upload. `labels` are a JSON object, None for none. `as_shown` says that answers show the request as it is; otherwise
    the request may need a change.
    """

    id: str
    request: str | bytes
    created_at: datetime
    image_name: str | None
    client_id: str | None
    blueprint_id: str | None
    blueprint_version: int | None
    shortened: bool = False
    status: str | None = None
    created_by: str | None = None
    labels: str | None = None
    as_shown: bool = False


@dataclass(frozen=True, slots=True)
class ComposesQuery:
    """A query for undeleted composes of a tenant, in the order of `sort` (of `domain.compose_filters.SORTS`).

    Image types in `ignored` (names as in the request) are left out. `blueprint` and `version` restrict the result to
    the composes of a blueprint, or of one of its versions. With a `cursor` the page begins there, and `page.offset` is
    not used.
    """

    tenant: str
    page: Page
    ignored: tuple[str, ...] = ()
    blueprint: UUID | None = None
    version: int | None = None
    filters: ComposeFilters = NO_FILTERS
    sort: str = DEFAULT_SORT
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class ComposesPage:
    """A page of composes; `count` is the number of all composes that match the query.

    `previous` and `next` are the cursors of the pages before and after it; None if there is no such page, and for a
    page without composes.
    """

    count: int
    composes: tuple[ListedCompose, ...]
    previous: Cursor | None = None
    next: Cursor | None = None
