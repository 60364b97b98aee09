"""Execute a request only once, even if clients repeat it with the same Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import structlog

from domain.errors import InProgressError, RulesViolatedError, UnavailableError, Violation
from domain.idempotency import EarlierRequest, KeyClaim, RequestFailure
from domain.identity import Identity
from ports.fingerprints import Fingerprints
from ports.store import IdempotencyKeys

log = structlog.get_logger()

T = TypeVar("T")

# Seconds after which a client may ask again for the outcome of a request (Retry-After).
_RETRY_AFTER: Final = 5

_OTHER_BODY: Final = Violation(
    "Idempotency-Key already used", "The Idempotency-Key was used with another body; a new request needs a new key."
)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that creates something: its `path` below the base paths, and its `body` with all defaults.

    `key` is the Idempotency-Key; a request without a key is executed each time.
    """

    path: str
    key: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IdempotentRequests:
    """Executes requests that create something, and recognizes repeated ones by their Idempotency-Key."""

    keys: IdempotencyKeys
    fingerprints: Fingerprints

    def __call__(
        self,
        identity: Identity,
        request: IdempotentRequest,
        work: Callable[[UUID | None], T],
        known: Callable[[tuple[UUID, ...]], T],
    ) -> T:
        """Execute `work` and return its result; for a repeated request, return `known(ids)` instead.

        `work` gets the id under which the key was claimed (None without a key), and stores the ids of what it creates
        with it. `ids` are those that the first request created. If that created only a part, its error is raised again.

        Raises InProgressError if the first request has not ended or its outcome is unknown, RulesViolatedError if
        it had another body, UnavailableError, and every error of `work`. After an error of a `work` that created
        nothing the key can be used again.
        """
        if request.key is None:
            return work(None)
        key_id = uuid4()
        claim = KeyClaim(identity.tenant, request.path, request.key, self.fingerprints.compute(request.body))
        earlier = self.keys.claim(claim, key_id)
        if earlier is not None:
            # Fingerprints of different secrets cannot be compared; the body is then assumed to be the same.
            if self.fingerprints.is_comparable(earlier.body) and earlier.body != claim.body:
                raise RulesViolatedError((_OTHER_BODY,))
            return known(_get_created_ids(earlier))
        try:
            result = work(key_id)
        except Exception as error:
            self._settle(partial(self.keys.settle_failed, key_id, RequestFailure.from_error(error)))
            raise
        self._settle(partial(self.keys.settle, key_id))
        return result

    @staticmethod
    def _settle(settle: Callable[[], None]) -> None:
        try:
            settle()
        except UnavailableError:
            log.warning("idempotency key not settled: the reconciler settles it")


def _get_created_ids(earlier: EarlierRequest) -> tuple[UUID, ...]:
    """Return the ids of what an earlier request created. Raises InProgressError, and the error of that request."""
    if not earlier.settled:
        raise InProgressError("A request with this Idempotency-Key is not finished", retry_after=_RETRY_AFTER)
    if earlier.failure is not None:
        raise earlier.failure.to_error()
    return tuple(each for each in earlier.created_ids if each is not None)
