"""Filters and orders of lists of composes (openapi.yaml, operation getComposes)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from domain.errors import InvalidRequestError

DEFAULT_SORT: Final = "-created_at"
# The orders of a list; composes that are equal in it are ordered by their ids, in the same direction.
SORTS: Final = (DEFAULT_SORT, "created_at", "image_name", "-image_name")
# How far ahead of ours a caller's clock may be.
_CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ComposeFilters:
    """What the composes of a list have in common; a filter that is empty or None is not applied.

    `image_types`, `architecture` and `distributions` are names as in the request, `statuses` are last known ones.
    `search` is a part of the image name, upper and lower case are equal. Each of `labels` is a key, or `key:value`, of
    a label that the composes have; all must match. Times are UTC without a time zone: composes from `created_after` on
    and before `created_before`. `created_after` replaces the limit of `domain.composes.LISTED_FOR`.
    """

    image_types: tuple[str, ...] = ()
    architecture: str | None = None
    distributions: tuple[str, ...] = ()
    blueprint_id: UUID | None = None
    created_by: str | None = None
    client_id: str | None = None
    search: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    statuses: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def applied(self) -> frozenset[str]:
        """The names of the filters that are applied."""
        if self == NO_FILTERS:
            return frozenset()
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) not in (None, ()))

    def check_times(self, now: datetime) -> None:
        """Raise InvalidRequestError for a time in the future, and for a range of time that is empty.

        `now` is UTC without a time zone.
        """
        for name, time in (("created_after", self.created_after), ("created_before", self.created_before)):
            if time is not None and time > now + _CLOCK_SKEW:
                raise InvalidRequestError(f"{name}: expected a time that is not in the future")
        if self.created_after and self.created_before and self.created_after >= self.created_before:
            raise InvalidRequestError("created_after: expected a time before created_before")


NO_FILTERS: Final = ComposeFilters()
