"""Starts of builds, as they are recorded before the composer hears of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from domain.composes import NewCompose
from domain.starts import NewStart


def new_start(start: UUID | None = None, fingerprint: bytes = b"print", **compose: Any) -> NewStart:
    """A start of some build; `compose` are fields of the NewCompose it becomes."""
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
    """One for each of these ids."""
    return [new_start(start) for start in starts]
