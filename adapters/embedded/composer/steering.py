"""The state of the stand-in composer that tests control: its behaviour, calls and tokens."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request

from adapters.embedded.composer.answers import RefusedError
from adapters.embedded.composer.behaviour import Behaviour
from adapters.embedded.stand_in.steering import Steering

MAX_RECENT_CALLS: Final = 100


class ComposerSteering(Steering):
    """The state of the stand-in composer except for its composes. Use it on the event loop only."""

    def __init__(self) -> None:
        super().__init__(max_recent_calls=MAX_RECENT_CALLS)
        self.behaviour = Behaviour()
        self.deleted: list[str] = []

    def change(self, document: Any) -> None:
        """Change these keys of the behaviour; calls that hang check it again.

        Raises marshmallow's ValidationError.
        """
        revoke = isinstance(document, dict) and document.pop("revoke_tokens", False) is True
        self.behaviour = self.behaviour.merged(document)
        if revoke:
            self.tokens.revoke()
        self.wake()

    def reset_behaviour(self) -> None:
        """Reset the behaviour."""
        self.behaviour = Behaviour()
        self.wake()

    def clear_state(self) -> None:
        """Remove all recorded calls."""
        self.deleted.clear()
        self.calls.clear()

    async def wait(self, method: str) -> None:
        """Delay a call with this HTTP method as the behaviour says."""
        await self.hang_while(lambda: self.behaviour.is_hanging(method))
        await self.pause(self.behaviour.latency)

    def authorize(self, request: Request) -> None:
        """Raise RefusedError unless the request carries a valid token, or none is required."""
        if self.behaviour.require_token and not self.tokens.authorize(request):
            raise RefusedError(401, "401", "Account authentication could not be verified")

    def document(self, composes: int) -> dict[str, Any]:
        """The behaviour, the calls and the composes that were deleted."""
        return {
            **self.behaviour.document(),
            **self.calls.document(),
            "composes": composes,
            "deleted": self.deleted,
        }
