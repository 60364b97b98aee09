"""Builds on their way to the composer, and what becomes of those that never came back (spec: Composes).

A start is recorded before the composer hears of it. A crash, or a composer that does not answer, leaves it behind: then
only the composer knows whether there is a build. It keeps each build's request, and by that the two are brought
together again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.composes import NewCompose


@dataclass(frozen=True, slots=True)
class NewStart:
    """A start to be recorded: `id` names it until the composer does, `compose` is what a build of it becomes.

    `fingerprint` is that of the composer's request (see `essence`).
    """

    id: UUID
    compose: NewCompose
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class LeftStart:
    """A start that nobody works at any more."""

    id: UUID
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Adoption:
    """A build that turned out to be a start's."""

    start: UUID
    compose: UUID


@dataclass(frozen=True, slots=True)
class Sightings:
    """Builds of the composer that no compose stands for, by the fingerprint of their request.

    `settled` have been so for longer than any start is worked at: nobody is about to record them. `fresh` may yet be
    recorded by whoever started them. `complete` is False where there may be builds besides whose request is not known.
    """

    settled: Mapping[UUID, bytes]
    fresh: frozenset[bytes] = frozenset()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of starts that were left: `adopted` are builds, `released` never came to be; the others stay."""

    adopted: tuple[Adoption, ...]
    released: tuple[UUID, ...]


def judge(left: Iterable[LeftStart], seen: Sightings) -> Verdict:
    """What became of the starts that were `left` before anybody looked at the composer, oldest first.

    Several starts of one request are as good as each other, and so are their builds.
    """
    builds: dict[bytes, list[UUID]] = defaultdict(list)
    for compose, fingerprint in seen.settled.items():
        builds[fingerprint].append(compose)
    adopted: list[Adoption] = []
    released: list[UUID] = []
    for start in left:
        if builds[start.fingerprint]:
            adopted.append(Adoption(start.id, builds[start.fingerprint].pop()))
        elif seen.complete and start.fingerprint not in seen.fresh:
            released.append(start.id)
    return Verdict(tuple(adopted), tuple(released))


def essence(composer_request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a composer's request is the same when the composer tells it again: it may leave out what says nothing."""
    stripped = _stripped(composer_request)
    return stripped if isinstance(stripped, dict) else {}


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {key: _stripped(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if _says_something(part)}
    if isinstance(value, list | tuple):
        return [_stripped(part) for part in value]
    return value


def _says_something(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", {}, [])
