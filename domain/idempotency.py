"""Idempotency-Keys: a request that a client repeats with the same key is executed once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from domain.errors import (
    BuildRefusedError,
    ConfigurationError,
    ForbiddenError,
    ImageBuilderError,
    InvalidRequestError,
    UnavailableError,
)

# The time for which a key identifies its first request.
KEY_LIFETIME: Final = timedelta(hours=24)

# Errors that are stored if a request fails after it started some of its builds.
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

    `path` is the path of the operation without the base path; `body` is the fingerprint of the request's body.
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
        """Return the failure to be stored for an error."""
        detail = error.detail if isinstance(error, ImageBuilderError) else "Something went wrong on our side"
        kind = next((kind for kind in _FAILURES if isinstance(error, kind)), BuildRefusedError)
        return cls(kind.__name__, detail)

    def to_error(self) -> ImageBuilderError:
        """Return the error to be raised again."""
        kind = next((kind for kind in _FAILURES if kind.__name__ == self.kind), BuildRefusedError)
        return kind(self.detail)


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """The first request with a key.

    `body` is the fingerprint of its body. `created_ids` are the ids of the builds or the blueprint that it created, in
    order, None for each build that was not created. While it is not `settled`, it is running or its outcome is unknown.
    `failure` is None if it succeeded.
    """

    body: bytes
    settled: bool
    created_ids: tuple[UUID | None, ...]
    failure: RequestFailure | None = None


class UnsettledKey(NamedTuple):
    """A key whose request has ended, or was interrupted, without settling it.

    `build_ids` are the ids of its builds in the order of the request, None for a build that is not recorded.
    """

    key_id: UUID
    build_ids: tuple[UUID | None, ...]
