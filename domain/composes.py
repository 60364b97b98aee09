"""A compose as the history keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.paging import Page

# Lists go back this far; older composes are still answered by id.
LISTED_FOR: Final = timedelta(days=14)


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
    """A compose of the history: `request` is JSON text as stored; `status` and `metadata` what the composer said at the
    end (domain.status.as_document; contract: ComposeMetadata), None as long as nobody asked.
    """

    request: str
    status: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


class ListedCompose(NamedTuple):
    """A row of a list: a tuple, because a page makes a hundred of them.

    Ids are UUIDs as text, `request` is JSON text as stored, `created_at` is UTC without a zone.
    """

    id: str
    request: str
    created_at: datetime
    image_name: str | None
    client_id: str | None
    blueprint_id: str | None
    blueprint_version: int | None


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
