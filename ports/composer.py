"""The port of the composer, which builds the images (osbuild-composer, API v2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.packages import Package
from domain.sboms import Sbom
from domain.status import ComposeStatus
from domain.submission import Submission


@dataclass(frozen=True, slots=True)
class Builds:
    """The ids of the composer's builds; `complete` is False if it has more builds than it listed."""

    ids: frozenset[UUID]
    complete: bool


@dataclass(frozen=True, slots=True)
class ComposerLogs:
    """The logs of a build: `image_builds` of the composer's ComposeLogs, and how many bytes the answer had."""

    image_builds: Sequence[Mapping[str, Any]]
    size: int


class Composer(Protocol):
    """Every call ends within its time limits, and raises UnavailableError if it gets no usable answer."""

    def submit(self, request: Mapping[str, Any]) -> Submission:
        """Submit a build, without retries. Never raises: the result says whether the build may have started."""

    def cancel(self, compose_id: UUID) -> None:
        """Cancel a build; a build that the composer does not know counts as cancelled.

        Raises OutcomeUnknownError where the composer may have got the request, otherwise UnavailableError.
        """

    def status(self, compose_id: UUID) -> ComposeStatus:
        """Return the status of a build. Raises NotFoundError for a build that the composer does not know."""

    def metadata(self, compose_id: UUID) -> dict[str, Any]:
        """Return `packages` and `ostree_commit` of the built image. Raises NotFoundError as `status` does."""

    def logs(self, compose_id: UUID) -> ComposerLogs:
        """The logs of a build. Raises NotFoundError for a build that the composer does not know, or has no logs of."""

    def sboms(self, compose_id: UUID) -> tuple[Sbom, ...]:
        """The bills of materials of a build. Raises NotFoundError as `logs` does."""

    def builds(self) -> Builds:
        """Return all builds of the composer, of any client. Raises UnavailableError."""

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        """Return the request of a build, None if the composer does not show it.

        Raises NotFoundError as `status` does.
        """

    def search_packages(
        self, distribution: str, architecture: str, repositories: Sequence[Mapping[str, Any]], text: str
    ) -> tuple[Package, ...]:
        """Return all packages whose names contain `text`, and possibly others.

        They are not sorted, and a name may occur several times. `distribution` is the composer's name of it;
        `repositories` have the form of the schema Repository of the composer's API. Raises UnavailableError.
        """

    def match_packages(
        self, distribution: str, architecture: str, repositories: Sequence[Mapping[str, Any]], patterns: Sequence[str]
    ) -> tuple[Package, ...]:
        """Return the packages whose names match any of these patterns: names, or globs with one `*`.

        The rest is as for `search_packages`.
        """

    def distribution(self, name: str, image_types: Sequence[str], architectures: Sequence[str]) -> dict[str, Any]:
        """Return the details of a distribution, only for these image types and architectures; empty means all.

        `name` is the composer's name of it. The answer (schema DistributionDetails of its API) is returned unchanged,
        except that `id`, `kind` and `href` are left out. Raises NotFoundError for a distribution that the composer does
        not know, and UnavailableError.
        """

    def check(self) -> None:
        """Check that the composer answers. Raises UnavailableError."""
