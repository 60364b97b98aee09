"""Builds on their way to the composer, and what becomes of those that never came back (spec: Composes).

A start is recorded before the composer hears of it. A crash, or a composer that does not answer, leaves it behind: then
only the composer knows whether there is a build. It keeps each build's request, and by that the two are brought
together again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from domain.composes import NewCompose

# What the contract fills in where a request is silent, but for nothing at all; the composer may tell it as ordered.
_DEFAULTS: Final = {"size": 0, "partitioning_mode": "auto-lvm", "hyper_v_generation": "V1"}
# The database and a pod do not begin to count at the same moment, and another server's clock may be slow.
_MARGIN: Final = timedelta(minutes=1)


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
    """A start that nobody works at any more; `age` is the time since it was recorded."""

    id: UUID
    fingerprint: bytes
    age: timedelta


@dataclass(frozen=True, slots=True)
class Adoption:
    """A build that turned out to be a start's."""

    start: UUID
    compose: UUID


@dataclass(frozen=True, slots=True)
class Sighting:
    """A build of the composer that no compose stands for; `age` is the time since it was first seen.

    `fingerprint` is that of its request, None where nobody can tell. A `settled` one has been seen for longer than any
    start is worked at: nobody is about to record it.
    """

    compose: UUID
    fingerprint: bytes | None
    age: timedelta
    settled: bool

    def may_be(self, start: LeftStart) -> bool:
        """Whether it may be the start's, as far as is known: a build is not there before its start."""
        return self.fingerprint in (None, start.fingerprint) and self.age <= start.age + _MARGIN


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of starts that were left: `adopted` are builds, `released` never came to be; the others stay."""

    adopted: tuple[Adoption, ...]
    released: tuple[UUID, ...]


def judge(left: Iterable[LeftStart], seen: Iterable[Sighting], *, complete: bool) -> Verdict:
    """What became of the starts that were `left` before anybody looked at the composer, oldest first.

    `seen` are all its builds without a compose, unless there are more and it is not `complete`. Several starts of one
    request are as good as each other, and so are their builds.
    """
    builds = list(seen)
    adopted: list[Adoption] = []
    released: list[UUID] = []
    for start in left:
        possible = [build for build in builds if build.may_be(start)]
        settled = [build for build in possible if build.settled and build.fingerprint is not None]
        # A younger start may be too young for the oldest build.
        own = max(settled, key=lambda build: build.age, default=None)
        if own is not None:
            builds.remove(own)
            adopted.append(Adoption(start.id, own.compose))
        elif complete and not possible:
            released.append(start.id)
    return Verdict(tuple(adopted), tuple(released))


def essence(composer_request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a composer's request is the same when the composer tells it again.

    It may leave out what says nothing, and put in what the contract says for those who say nothing.
    """
    stripped = _stripped(composer_request)
    return stripped if isinstance(stripped, dict) else {}


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {key: _stripped(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if _says_something(key, part)}
    if isinstance(value, list | tuple):
        return [_stripped(part) for part in value]
    return value


def _says_something(key: str, value: Any) -> bool:
    if value is None or value is False or value in ("", {}, []):
        return False
    return key not in _DEFAULTS or value != _DEFAULTS[key]
