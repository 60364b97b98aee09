"""A request that is sent again is carried out once (spec: Idempotency-Key)."""

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

# For so long a key stands for its first request.
KEPT_FOR: Final = timedelta(hours=24)

# What a request that started some of its builds may have failed with.
_FAILURES: Final[tuple[type[ImageBuilderError], ...]] = (
    BuildRefusedError,
    ConfigurationError,
    ForbiddenError,
    InvalidRequestError,
    UnavailableError,
)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request under a key: `path` says what is asked for, `body` is the fingerprint of with what.

    `path` begins below the base paths, which are the same to everybody.
    """

    tenant: str
    path: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """What a request ended with after it had started some of its builds; `kind` is the error's class."""

    kind: str
    detail: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure as it is kept."""
        detail = error.detail if isinstance(error, ImageBuilderError) else "Something went wrong on our side"
        kind = next((kind for kind in _FAILURES if isinstance(error, kind)), BuildRefusedError)
        return cls(kind.__name__, detail)

    def error(self) -> ImageBuilderError:
        """The failure as it was told."""
        kind = next((kind for kind in _FAILURES if kind.__name__ == self.kind), BuildRefusedError)
        return kind(self.detail)


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What is known of a key's first request: `made` are the ids of what it made, in order, None for what it did not.

    Until it is `settled` it runs, or nobody knows what came of it.
    """

    body: bytes
    settled: bool
    made: tuple[UUID | None, ...]
    failure: Failure | None = None
