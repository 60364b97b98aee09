"""The service that builds the images (contract: composer v2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.packages import Package
from domain.status import ComposeStatus
from domain.submission import Submission


@dataclass(frozen=True, slots=True)
class Builds:
    """The composer's builds; `complete` is False where there are more than it lists."""

    ids: frozenset[UUID]
    complete: bool


class Composer(Protocol):
    """Every call ends within its timeouts, and raises UnavailableError where there is no usable answer."""

    def submit(self, request: Mapping[str, Any]) -> Submission:
        """Hand over a build. Never repeated, never raises: the outcome says whether it may have started."""

    def cancel(self, compose_id: UUID) -> None:
        """Have the composer drop a build; one it does not know counts as dropped. Raises UnavailableError."""

    def status(self, compose_id: UUID) -> ComposeStatus:
        """How the build goes. Raises NotFoundError for one the composer does not know."""

    def metadata(self, compose_id: UUID) -> dict[str, Any]:
        """`packages` and `ostree_commit` of the built image. Raises NotFoundError as `status` does."""

    def builds(self) -> Builds:
        """All builds that the composer has, whoever ordered them. Raises UnavailableError."""

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        """What was ordered with a build, None where the composer does not tell. Raises NotFoundError as `status`."""

    def search_packages(
        self, distribution: str, architecture: str, repositories: Sequence[Mapping[str, Any]], text: str
    ) -> tuple[Package, ...]:
        """Every package whose name holds `text`, and maybe others, in no order, a name as often as it is built.

        The distribution's name and the repositories (v2's Repository) are the composer's. Raises UnavailableError.
        """

    def distribution(self, name: str, image_types: Sequence[str], architectures: Sequence[str]) -> dict[str, Any]:
        """What can be built of a distribution, of these image types and architectures where any are given.

        The name is the composer's. What it answers (v2's DistributionDetails) is passed on as it comes, but for what
        makes it a reference: `id`, `kind`, `href`. Raises NotFoundError for one the composer does not know, and
        UnavailableError.
        """

    def check(self) -> None:
        """Return when the composer answers. Raises UnavailableError."""
