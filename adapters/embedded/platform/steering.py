"""The state of the stand-in platform that tests control: faults, calls and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request

from adapters.embedded.platform.answers import BACK_ENDS, RefusedError
from adapters.embedded.platform.behaviour import NO_FAULTS, Faults
from adapters.embedded.stand_in.steering import Steering

MAX_RECENT_CALLS: Final = 200


class PlatformSteering(Steering):
    """The state of the stand-in platform except for its documents. Use it on the event loop only."""

    def __init__(self) -> None:
        super().__init__(max_recent_calls=MAX_RECENT_CALLS)
        self.require_token = False
        self.hide_origin = False
        self._faults = dict.fromkeys(BACK_ENDS, NO_FAULTS)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change faults and switches; calls that hang check them again."""
        for back_end in BACK_ENDS:
            if back_end in changes:
                self._faults[back_end] = self._faults[back_end].merged(changes[back_end])
        self.require_token = changes.get("require_token", self.require_token)
        self.hide_origin = changes.get("hide_origin", self.hide_origin)
        self.wake()

    def reset_behaviour(self) -> None:
        """Reset all faults and switches."""
        self._faults = dict.fromkeys(BACK_ENDS, NO_FAULTS)
        self.require_token = False
        self.hide_origin = False
        self.wake()

    def clear_state(self) -> None:
        """Remove all recorded calls."""
        self.calls.clear()

    async def faults(self, back_end: str, operation: str) -> Faults:
        """The faults of this call, after the delays that they require."""
        faults = self._take(back_end, operation)
        if faults.hang:
            await self.hang_while(lambda: self._faults[back_end].hang)
            faults = self._take(back_end, operation)
        await self.pause(faults.latency)
        return faults

    def authorize(self, request: Request) -> None:
        """Raise RefusedError unless the request carries a valid token, or none is required."""
        if self.require_token and not self.tokens.authorize(request):
            raise RefusedError(401, "Not authenticated")

    def document(self) -> dict[str, Any]:
        """The faults, the switches and the calls."""
        return {
            **{back_end: faults.document() for back_end, faults in self._faults.items()},
            "require_token": self.require_token,
            "hide_origin": self.hide_origin,
            **self.calls.document(),
        }

    def _take(self, back_end: str, operation: str) -> Faults:
        faults = self._faults[back_end]
        if faults.only is not None and operation not in faults.only:
            return NO_FAULTS
        if faults.times == 1:
            self._faults[back_end] = NO_FAULTS
        elif faults.times is not None:
            self._faults[back_end] = replace(faults, times=faults.times - 1)
        return faults
