"""Show what else the composer tells of a build: logs and bills of materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from domain.build_logs import BuildLogs
from domain.errors import NotFoundError, UnavailableError
from domain.identity import Identity
from domain.sboms import Sbom
from ports.composer import Composer
from ports.memory import reserve_memory
from ports.sboms import Sboms
from ports.store import Composes
from ports.waiting import about_to_wait

log = structlog.get_logger()

# How many copies of logs exist at once: as the composer's answer, without secrets, as text, and as the answer's buffer.
_COPIES_OF_LOGS = 5


@dataclass(frozen=True, slots=True)
class ShowArtifacts:
    """Logs and bills of materials of a tenant's builds.

    All raise NotFoundError where the tenant has no such build, or the composer has none of it, and UnavailableError
    when the database or the composer is unavailable.
    """

    composes: Composes
    sboms: Sboms
    composer: Composer

    def logs(self, identity: Identity, compose_id: UUID) -> BuildLogs:
        """The logs of a build, without secrets; `image_builds` is empty before the build has ended."""
        stored = self.composes.get(identity.tenant, compose_id)
        if stored is None:
            raise NotFoundError("Compose not found")
        about_to_wait()
        found = self.composer.logs(compose_id)
        reserve_memory(_COPIES_OF_LOGS * found.size)
        request = stored.request
        return BuildLogs.masked(found.image_builds, request if isinstance(request, str) else request.decode())

    def bills(self, identity: Identity, compose_id: UUID, purpose: str) -> Sequence[Sbom]:
        """The bills of materials of this purpose; they are stored on the first request after the build has ended."""
        stored = self.sboms.get(identity.tenant, compose_id, purpose)
        if stored is None:
            raise NotFoundError("Compose not found")
        if stored.sboms is not None:
            return stored.sboms
        about_to_wait()
        # The status is read before the bills, because they may be incomplete while the build is running.
        ended = stored.ended or self._has_ended(compose_id)
        found = self.composer.sboms(compose_id)
        if ended and found:
            self._try_to_store(compose_id, found)
        return [each for each in found if each.purpose == purpose]

    def _has_ended(self, compose_id: UUID) -> bool:
        """Whether the composer reports a final status; False where it does not answer."""
        try:
            return self.composer.status(compose_id).is_final
        except (NotFoundError, UnavailableError):
            return False

    def _try_to_store(self, compose_id: UUID, sboms: Sequence[Sbom]) -> None:
        """Store an answer of the composer; an error is only logged: the answer is valid without being stored."""
        try:
            self.sboms.store(compose_id, sboms)
        except Exception:
            log.warning("answer of the composer not stored", exc_info=True)
