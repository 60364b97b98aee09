"""The service that keeps compliance policies (contract: compliance v2)."""

from __future__ import annotations

from typing import Protocol

from domain.content import Policy
from domain.identity import Identity


class Compliance(Protocol):
    """Asked in the name of the caller. All raise ForbiddenError where the caller is not authorized there, NotFoundError
    for a policy it does not know, and UnavailableError where there is no usable answer.
    """

    def policy(self, identity: Identity, policy_id: str) -> Policy:
        """The policy."""

    def tailoring(self, identity: Identity, policy_id: str, minor: int) -> str | None:
        """The policy's tailoring for a minor version as JSON text, byte for byte; None where it asks for nothing.

        Raises NotFoundError where there is no tailoring for that minor version.
        """

    def has_tailoring(self, identity: Identity, policy_id: str, minor: int) -> bool:
        """Whether the policy has a tailoring for a minor version."""

    def create_tailoring(self, identity: Identity, policy_id: str, minor: int) -> None:
        """Make the policy's tailoring for a minor version; one that is there already, whoever made it, is as good."""

    def blueprint(self, identity: Identity, policy_id: str, minor: int) -> str:
        """What the policy's tailoring for a minor version asks for, an osbuild blueprint in TOML; empty for nothing.

        Raises NotFoundError where there is no tailoring for that minor version, which an unknown policy does not have
        either: `policy` and `has_tailoring` tell.
        """
