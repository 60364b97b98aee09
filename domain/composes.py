"""A compose as the history keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.paging import Page

# Lists go back this far; older composes are still answered by id.
LISTED_FOR: Final = timedelta(days=14)
# Bytes of a page of a list, unless the operator says otherwise.
LARGEST_LIST: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewCompose:
    """A compose to be kept; `request` is a v1 ComposeRequest without passwords.

    `blueprint_version` is the id of the blueprint's version it was started from.
    """

    tenant: str
    account_number: str
    email: str
    request: Mapping[str, Any]
    image_name: str | None
    client_id: str
    blueprint_version: UUID | None = None


@dataclass(frozen=True, slots=True)
class KeptCompose:
    """A compose of the history.

    `request` is JSON: text as it is stored, or UTF-8 where the store has brought a large one into the form that is
    answered. `status` is what the composer said at the end (domain.status.as_document), None before a client has asked.
    """

    request: str | bytes
    status: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class KeptMetadata:
    """What the history knows of a build's metadata.

    `ended`: its final status is kept. `metadata` is JSON (contract: ComposeMetadata), as text or UTF-8; None before a
    client has asked.
    """

    ended: bool
    metadata: str | bytes | None = None


class RequestForm(IntEnum):
    """How much of a request a list shows."""

    WHOLE = 0
    # Without `data` of each of `customizations.files`.
    WITHOUT_DATA = 1
    # Without customizations, the largest first, and without all else that is large.
    SUMMARY = 2


@dataclass(frozen=True, slots=True)
class RequestSizes:
    """The sizes of a request's forms in bytes; a form that is no smaller than the one before it has that one's size."""

    whole: int
    without_data: int
    summary: int

    def of(self, form: RequestForm) -> int:
        """The size of this form."""
        return (self.whole, self.without_data, self.summary)[form]


def forms_within(sizes: Sequence[RequestSizes], largest: int) -> list[RequestForm]:
    """In which form a page shows each of its requests, so that all together are at most `largest` bytes.

    As few as possible are shortened, those first that become smaller by most: the contents of files are left out of as
    many as it takes, and only where that does not suffice, further customizations. What cannot be made smaller stays.
    """
    forms = [RequestForm.WHOLE] * len(sizes)
    total = sum(each.whole for each in sizes)
    for shorter in (RequestForm.WITHOUT_DATA, RequestForm.SUMMARY):
        saved = [each.of(form) - each.of(shorter) for each, form in zip(sizes, forms, strict=True)]
        for number in sorted(range(len(sizes)), key=saved.__getitem__, reverse=True):
            if total <= largest or saved[number] <= 0:
                break
            forms[number] = shorter
            total -= saved[number]
    return forms


class ListedCompose(NamedTuple):
    """A row of a list: a tuple, because a page makes a hundred of them.

    Ids are UUIDs as text, `request` is as in KeptCompose, `created_at` is UTC without a zone. `shortened`: the request
    is not whole, because the page would have been too large.
    """

    id: str
    request: str | bytes
    created_at: datetime
    image_name: str | None
    client_id: str | None
    blueprint_id: str | None
    blueprint_version: int | None
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class ComposesQuery:
    """The undeleted composes of a tenant, newest first, less the image types `ignored` (as requested).

    `blueprint` and `version`: only those of a blueprint, or of one of its versions.
    """

    tenant: str
    page: Page
    ignored: tuple[str, ...] = ()
    blueprint: UUID | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class ComposesPage:
    """`count` counts all that match, not the page's."""

    count: int
    composes: tuple[ListedCompose, ...]
