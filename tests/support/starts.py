"""Starts of builds as they are recorded before the call of the composer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from adapters.postgres.starts import PostgresStarts
from domain.composes import NewCompose
from domain.quota import Quota, Reservation
from domain.starts import NewStart
from tests.support.retrying import retry_while_unavailable


def new_start(start: UUID | None = None, fingerprint: bytes = b"print", **compose: Any) -> NewStart:
    """A start of a build; `compose` are fields of its NewCompose."""
    usual: dict[str, Any] = {
        "tenant": "000001",
        "account_number": "7",
        "email": "u@example.com",
        "request": {"image_requests": [{"a": 1}]},
        "image_name": None,
        "client_id": "api",
    }
    return NewStart(start or uuid4(), NewCompose(**{**usual, **compose}), fingerprint)


def new_starts(*starts: UUID) -> list[NewStart]:
    """Starts with these ids."""
    return [new_start(start) for start in starts]


def reserved(starts: PostgresStarts, tenant: str, quota: Quota | None) -> UUID:
    """Reserve a start, which must succeed."""
    start = uuid4()
    assert starts.reserve(new_starts(start), tenant, quota).granted
    return start


def is_granted(starts: PostgresStarts, new: Sequence[NewStart], tenant: str, quota: Quota) -> bool:
    """Whether the quota suffices for these starts, among many callers at once."""
    return reserve_among_others(starts, new, tenant, quota).granted


def reserve_among_others(starts: PostgresStarts, new: Sequence[NewStart], tenant: str, quota: Quota) -> Reservation:
    """Reserve these starts, among many callers at once.

    On a busy machine some callers wait too long for the slot of their tenant, and are told to try again.
    """
    return retry_while_unavailable(partial(starts.reserve, new, tenant, quota))


def new_compose(tenant: str, image_name: str | None = None) -> NewCompose:
    """A build of a tenant, which its client can record."""
    return NewCompose(tenant, "7", "u@example.com", {"image_requests": [{"a": 1}]}, image_name, "ui")
