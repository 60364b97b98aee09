"""The service that builds the images (contract: composer v2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from domain.packages import Package
from domain.status import ComposeStatus
from domain.submission import Submission


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
