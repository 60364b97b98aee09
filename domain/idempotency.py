"""Idempotency-Keys: a request that is sent again with the same key is carried out once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from domain.errors import (
    BuildRefusedError,
    ConfigurationError,
    ForbiddenError,
    ImageBuilderError,
    InvalidRequestError,
    UnavailableError,
)

# How long a key identifies its first request.
KEY_LIFETIME: Final = timedelta(hours=24)

# Errors with which a request may fail after it started some of its builds.
_FAILURES: Final[tuple[type[ImageBuilderError], ...]] = (
    BuildRefusedError,
    ConfigurationError,
    ForbiddenError,
    InvalidRequestError,
    UnavailableError,
)


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A request that claims an Idempotency-Key.

    `path` is that of the operation, without the base path; `body` is the fingerprint of the body.
    """

    tenant: str
    path: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """The error of a request that had started some of its builds; `kind` is the name of the error's class."""

    kind: str
    detail: str

    @classmethod
    def from_error(cls, error: Exception) -> RequestFailure:
        """The failure to be stored for an error."""
        detail = error.detail if isinstance(error, ImageBuilderError) else "Something went wrong on our side"
        kind = next((kind for kind in _FAILURES if isinstance(error, kind)), BuildRefusedError)
        return cls(kind.__name__, detail)

    def to_error(self) -> ImageBuilderError:
        """The error to be raised again."""
        kind = next((kind for kind in _FAILURES if kind.__name__ == self.kind), BuildRefusedError)
        return kind(self.detail)


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """The first request with a key.

    `body` is the fingerprint of its body. `created_ids` are the ids of what it created, in order, None for what it did
    not create. Until it is `settled` it is running, or its outcome is unknown.
    """

    body: bytes
    settled: bool
    created_ids: tuple[UUID | None, ...]
    failure: RequestFailure | None = None
