"""The port of the package resolution of the composer (osbuild-composer, API v2, `POST /depsolve/blueprint`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from domain.status import BuildError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolution:
    """The packages that an image would have, by name; or the error that says why they cannot be installed."""

    packages: Sequence[Json] = ()
    error: BuildError | None = None


class PackageResolver(Protocol):
    """Resolves packages (also known as "depsolving"), as the build would."""

    def resolve_packages(self, request: Json) -> Resolution:
        """Return the resolution of a DepsolveRequest of the composer's API.

        Ends within 20 s, or the deadline of `ports.deadline`. Raises UnavailableError if the composer gives no usable
        answer or does not have the operation.
        """
