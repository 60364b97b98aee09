"""Builds on their way to the composer, and what becomes of those that never came back (spec: Composes).

A start is recorded before the composer hears of it. A crash, or a composer that does not answer, leaves it behind: then
only the composer knows whether there is a build. It keeps each build's request, and by that the two are brought
together again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from domain.compose.passwords import strip_digests
from domain.composes import NewCompose

# What the contract fills in where a request is silent, but for nothing at all; the composer may tell it as ordered.
_DEFAULTS: Final = {"size": 0, "partitioning_mode": "auto-lvm", "hyper_v_generation": "V1"}
# The database and a pod do not begin to count at the same moment, and another server's clock may be slow.
_MARGIN: Final = timedelta(minutes=1)

_BLUEPRINT_ID: Final = "blueprint_id"

Strip = Callable[[Any, str], Any]


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
    """A start that nobody works at any more; `age` is the time since it was recorded.

    `of_blueprint`: the build was started from a blueprint.
    """

    id: UUID
    fingerprint: bytes
    age: timedelta
    of_blueprint: bool = False


@dataclass(frozen=True, slots=True)
class Adoption:
    """A build that turned out to be a start's."""

    start: UUID
    compose: UUID


@dataclass(frozen=True, slots=True)
class Sighting:
    """A build of the composer that no compose stands for; `age` is the time since it was first seen.

    `fingerprints` are those that a start of its request may have been recorded with (see `essences_of_build`), None
    where the composer does not tell the request. A `settled` one has been seen for longer than any start is worked at:
    no process is about to record it. `of_blueprint`: its request names a blueprint.
    """

    compose: UUID
    fingerprints: frozenset[bytes] | None
    age: timedelta
    settled: bool
    of_blueprint: bool = False

    def may_be(self, start: LeftStart) -> bool:
        """Whether it may be the start's, as far as is known: a build is not there before its start."""
        if self.of_blueprint and not start.of_blueprint:
            return False  # otherwise an equal build without a blueprint would take the build of the blueprint's start
        matches = self.fingerprints is None or start.fingerprint in self.fingerprints
        return matches and self.age <= start.age + _MARGIN


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
        settled = [build for build in possible if build.settled and build.fingerprints is not None]
        # A younger start may be too young for the oldest build.
        own = max(settled, key=lambda build: build.age, default=None)
        if own is not None:
            builds.remove(own)
            adopted.append(Adoption(start.id, own.compose))
        elif complete and not possible:
            released.append(start.id)
    return Verdict(tuple(adopted), tuple(released))


def essence(composer_request: Mapping[str, Any], strip: Strip | None = None) -> dict[str, Any]:
    """What of a composer's request is the same when the composer tells it again, and holds no hash of a password.

    The composer may leave out what says nothing, and put in what the contract says for those who say nothing. A start
    is recognized by this before its passwords are hashed: of these, form and salt are looked at.

    `strip` does what `strip_part` does; requests that share parts may share what comes of them.
    """
    return _essence(composer_request, strip or strip_part)


def essences_of_build(composer_request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the start of a build may be recognized by, from the request as the composer tells it.

    Older versions recorded a start with the hashes of its passwords, or without its `blueprint_id` (contract: composer
    v2, ComposeRequest). Only a start of a blueprint may be recognized without it: see `names_blueprint`.
    """
    anonymous = {name: value for name, value in composer_request.items() if name != _BLUEPRINT_ID}
    variants = (composer_request, anonymous) if names_blueprint(composer_request) else (composer_request,)
    return [_essence(request, strip) for request in variants for strip in (strip_part, _strip_with_hashes)]


def names_blueprint(composer_request: Mapping[str, Any]) -> bool:
    """Whether a composer's request says which blueprint the build is of."""
    return composer_request.get(_BLUEPRINT_ID) is not None


def strip_part(part: Any, name: str) -> Any:
    """A part of a composer's request, or of its customizations, as `essence` has it."""
    return _stripped(strip_digests(part) if name == "users" else part)


def _strip_with_hashes(part: Any, _name: str) -> Any:
    return _stripped(part)


def _essence(composer_request: Mapping[str, Any], strip: Strip) -> dict[str, Any]:
    def stripped(part: Any, name: str) -> Any:
        # Each customization by itself: requests share them, and not what holds them.
        if name == "customizations" and isinstance(part, Mapping):
            return _kept({key: strip(value, key) for key, value in part.items()})
        return strip(part, name)

    return _kept({name: stripped(part, name) for name, part in composer_request.items()})


def _stripped(value: Any) -> Any:
    """The value without what says nothing. Parts that stay as they are are shared, not copied: they may be large."""
    if isinstance(value, Mapping):
        kept = _kept({key: _stripped(part) for key, part in value.items()})
        unchanged = len(kept) == len(value) and all(kept[key] is part for key, part in value.items())
        return value if unchanged else kept
    if isinstance(value, list | tuple):
        entries = [_stripped(part) for part in value]
        return value if all(map(operator.is_, entries, value)) else entries
    return value


def _kept(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in parts.items() if _says_something(key, part)}


def _says_something(key: str, value: Any) -> bool:
    if value is None or value is False or value in ("", {}, []):
        return False
    return key not in _DEFAULTS or value != _DEFAULTS[key]
