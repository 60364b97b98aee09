"""The port of the compliance service, which stores compliance policies (API v2)."""

from __future__ import annotations

from typing import Protocol

from domain.content import Policy
from domain.identity import Identity


class Compliance(Protocol):
    """Calls are made with the identity of the caller.

    All raise ForbiddenError if the service does not authorize the caller, NotFoundError for an unknown policy, and
    UnavailableError for no usable answer.
    """

    def policy(self, identity: Identity, policy_id: str) -> Policy:
        """Return the policy."""

    def tailoring(self, identity: Identity, policy_id: str, minor: int) -> str | None:
        """Return the policy's tailoring for a minor version as JSON text, unchanged; None for an empty tailoring.

        Raises NotFoundError if there is no tailoring for that minor version.
        """

    def has_tailoring(self, identity: Identity, policy_id: str, minor: int) -> bool:
        """Return whether the policy has a tailoring for a minor version."""

    def create_tailoring(self, identity: Identity, policy_id: str, minor: int) -> None:
        """Create the policy's tailoring for a minor version; succeeds also if it exists."""

    def blueprint(self, identity: Identity, policy_id: str, minor: int) -> str:
        """Return the policy's requirements for a minor version as an osbuild blueprint in TOML; the text may be empty.

        Raises NotFoundError for a missing tailoring as well as for an unknown policy; `policy` and `has_tailoring`
        distinguish them.
        """
