"""Carry a request out once, however often it is sent (spec: Idempotency-Key)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import structlog

from domain.errors import InProgressError, RulesViolatedError, UnavailableError, Violation
from domain.idempotency import Failure, Keyed, KnownRequest
from domain.identity import Identity
from ports.fingerprints import Fingerprints
from ports.store import IdempotencyKeys

log = structlog.get_logger()

T = TypeVar("T")

# Seconds after which it is worth asking again what came of a request.
_PAUSE: Final = 5

_ANOTHER: Final = Violation(
    "Idempotency-Key already used", "The Idempotency-Key was used with another body; a new request needs a new key."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its sender would repeat it: `path` below the base paths, `body` with all defaults.

    Without a `key` it is carried out each time.
    """

    path: str
    key: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Once:
    """Requests that make something."""

    keys: IdempotencyKeys
    fingerprints: Fingerprints

    def __call__(
        self,
        identity: Identity,
        asked: Asked,
        work: Callable[[UUID | None], T],
        known: Callable[[tuple[UUID, ...]], T],
    ) -> T:
        """What `work` returns, or what `known` makes of the ids that the first request made.

        `work` gets the id under which its key was claimed, and what it makes is recorded there. Where the first request
        made only a part, its error is raised again.

        Raises InProgressError where the first request has not ended, or nobody knows how; RulesViolatedError where it
        had another body; UnavailableError; and whatever `work` raises: then the key is free again.
        """
        if asked.key is None:
            return work(None)
        key_id = uuid4()
        request = Keyed(identity.tenant, asked.path, asked.key, self.fingerprints.of(asked.body))
        before = self.keys.claim(request, key_id)
        if before is not None:
            # After a change of the secret nobody can tell: who repeats a request is believed to repeat it.
            if self.fingerprints.comparable(before.body) and before.body != request.body:
                raise RulesViolatedError((_ANOTHER,))
            return known(_made(before))
        try:
            result = work(key_id)
        except Exception as error:
            self._ended(partial(self.keys.close, key_id, Failure.of(error)))
            raise
        self._ended(partial(self.keys.settle, key_id))
        return result

    @staticmethod
    def _ended(note: Callable[[], None]) -> None:
        try:
            note()
        except UnavailableError:
            log.warning("the end of a request under a key cannot be noted: the reconciler will find out")


def _made(before: KnownRequest) -> tuple[UUID, ...]:
    if not before.settled:
        raise InProgressError("A request with this Idempotency-Key is not finished", retry_after=_PAUSE)
    if before.failure is not None:
        raise before.failure.error()
    return tuple(each for each in before.made if each is not None)
