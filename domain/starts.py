"""Starts (reservations of builds), and the matching of abandoned starts with builds at the composer.

A start is recorded before its build is submitted to the composer. If the service crashes, or the composer does not
answer, the start is abandoned: only the composer knows whether the build exists. The composer keeps the request of each
build, with which an abandoned start and its build are matched (docs/operations.md, Reservations and the reconciler).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from domain.compose.passwords import strip_blueprint_digests, strip_digests
from domain.composes import NewCompose

# Defaults, other than empty values, that the composer may add when it echoes a request.
_DEFAULTS: Final = {"size": 0, "partitioning_mode": "auto-lvm", "hyper_v_generation": "V1"}
# The time by which a build may seem older than its start: the database and a pod measure the two ages at different
# moments, and clocks of servers differ.
_AGE_TOLERANCE: Final = timedelta(minutes=1)

_BLUEPRINT_ID: Final = "blueprint_id"
# Classes of values without parts.
_SCALARS: Final = frozenset({str, int, bool, float, type(None)})

# A function like `normalize_part`.
NormalizePart = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class NewStart:
    """A start that has to be recorded.

    `id` identifies it until the composer assigns an id to the build; `compose` is stored when the build is recorded.
    `fingerprint` is that of the composer's request in the form of `normalize_request`.
    """

    id: UUID
    compose: NewCompose
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class AbandonedStart:
    """A start whose lease has expired; `age` is the time since it was recorded.

    `has_blueprint` says that the build was started from a blueprint.
    """

    id: UUID
    fingerprint: bytes
    age: timedelta
    has_blueprint: bool = False


@dataclass(frozen=True, slots=True)
class Adoption:
    """The ids of a start and of the build at the composer that belongs to it."""

    start: UUID
    compose: UUID


@dataclass(frozen=True, slots=True)
class UnrecordedBuild:
    """A build at the composer that the history does not contain; `age` is the time since it was first seen.

    `fingerprints` are those that the start of its request may have been recorded with (see `normalized_variants`), None
    if the composer does not show the request. `is_adoptable` says that it has been seen for longer than a
    lease, so that no process is about to record it. `has_blueprint` says that its request names a blueprint.
    """

    compose: UUID
    fingerprints: frozenset[bytes] | None
    age: timedelta
    is_adoptable: bool
    has_blueprint: bool = False

    def may_belong_to(self, start: AbandonedStart) -> bool:
        """Return whether this may be the build of the start.

        A build is not older than its start, and their requests agree.
        """
        if self.has_blueprint and not start.has_blueprint:
            return False  # otherwise the start of an equal build without a blueprint would get this build
        matches = self.fingerprints is None or start.fingerprint in self.fingerprints
        return matches and self.age <= start.age + _AGE_TOLERANCE


@dataclass(frozen=True, slots=True)
class MatchedStarts:
    """The result of matching: `adopted` starts have a build, `released` starts have none; all others are undecided."""

    adopted: tuple[Adoption, ...]
    released: tuple[UUID, ...]


def match_starts(
    abandoned: Iterable[AbandonedStart], unrecorded: Iterable[UnrecordedBuild], *, complete: bool
) -> MatchedStarts:
    """Match abandoned starts, oldest first, with unrecorded builds of the composer.

    The starts must have been read before the composer's builds. `complete` is False if the composer has more builds
    than it lists; then no start is released. Starts of equal requests, and their builds, are interchangeable.
    """
    builds = list(unrecorded)
    adopted: list[Adoption] = []
    released: list[UUID] = []
    for start in abandoned:
        candidates = [build for build in builds if build.may_belong_to(start)]
        adoptable = [build for build in candidates if build.is_adoptable and build.fingerprints is not None]
        # The oldest build is used first, because later starts may be too young for it.
        oldest = max(adoptable, key=lambda build: build.age, default=None)
        if oldest is not None:
            builds.remove(oldest)
            adopted.append(Adoption(start.id, oldest.compose))
        elif complete and not candidates:
            released.append(start.id)
    return MatchedStarts(tuple(adopted), tuple(released))


def normalize_request(composer_request: Mapping[str, Any], normalize: NormalizePart | None = None) -> dict[str, Any]:
    """Return the parts of a composer's request that are the same when the composer echoes it, without password hashes.

    The composer may leave out empty values and add defaults. A start is recorded before its passwords are hashed, so
    only the form and the salt of a hash remain.

    `normalize` must give the results of `normalize_part`; a caller with several requests may pass a function that
    normalizes shared parts only once.
    """
    return _normalize(composer_request, normalize or normalize_part)


def normalized_variants(composer_request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the forms in which the start of a build may have been recorded, from the request that the composer echoes.

    Older versions recorded a start with the hashes of its passwords, or without its `blueprint_id`. Only the start of a
    blueprint's build may be matched by a form without it: see `names_blueprint`.
    """
    anonymous = {name: value for name, value in composer_request.items() if name != _BLUEPRINT_ID}
    variants = (composer_request, anonymous) if names_blueprint(composer_request) else (composer_request,)
    return [_normalize(request, each) for request in variants for each in (normalize_part, _normalize_with_hashes)]


def names_blueprint(composer_request: Mapping[str, Any]) -> bool:
    """Return whether a composer's request has a `blueprint_id`."""
    return composer_request.get(_BLUEPRINT_ID) is not None


def normalize_part(part: Any, name: str) -> Any:
    """Return the value of a key of a composer's request, or of its customizations, as in `normalize_request`."""
    if name == "users":
        part = strip_digests(part)
    elif name == "blueprint":
        part = strip_blueprint_digests(part)
    return _without_empty(part)


def _normalize_with_hashes(part: Any, _name: str) -> Any:
    return _without_empty(part)


def _normalize(composer_request: Mapping[str, Any], normalize: NormalizePart) -> dict[str, Any]:
    def normalize_one(part: Any, name: str) -> Any:
        # Each customization is normalized separately: requests share these values, but not the object that contains
        # them.
        if name == "customizations" and isinstance(part, Mapping):
            return _drop_irrelevant({key: normalize_value(value, key) for key, value in part.items()})
        return normalize_value(part, name)

    def normalize_value(value: Any, name: str) -> Any:
        return value if value.__class__ in _SCALARS else normalize(value, name)

    return _drop_irrelevant({name: normalize_one(part, name) for name, part in composer_request.items()})


def _without_empty(value: Any) -> Any:
    """Return the value without empty values and defaults.

    Unchanged parts, which may be large, are shared and not copied.
    """
    if isinstance(value, dict):
        changed = False
        relevant = {}
        for key, part in value.items():
            # Most parts are no containers: to call this function for them takes ten times as long.
            kept = part if part.__class__ in _SCALARS else _without_empty(part)
            if (not kept or key in _DEFAULTS) and _is_irrelevant(key, kept):
                changed = True
            else:
                relevant[key] = kept
                changed = changed or kept is not part
        return relevant if changed else value
    if isinstance(value, list | tuple):
        if all(part.__class__ in _SCALARS for part in value):
            return value
        entries = [_without_empty(part) for part in value]
        return value if all(map(operator.is_, entries, value)) else entries
    if isinstance(value, Mapping):
        return _without_empty(dict(value))
    return value


def _drop_irrelevant(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that are neither empty nor the default of their key."""
    return {
        key: part for key, part in parts.items() if (part and key not in _DEFAULTS) or not _is_irrelevant(key, part)
    }


def _is_irrelevant(key: str, part: Any) -> bool:
    """Whether a part is empty or the default of its key; no number is empty."""
    if key in _DEFAULTS and part == _DEFAULTS[key]:
        return True
    return not part and (part is None or part is False or part in ("", {}, []))
