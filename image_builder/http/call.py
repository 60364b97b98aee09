"""A call of an operation, on its way from the contract's check to its handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flask import Response

from image_builder.http.memory import Account
from image_builder.http.rate_limits import RateLimit

Handler = Callable[..., Response]

# Where an ASGI scope and a WSGI environment carry the call and the note; and the scope the connection of a request, on
# which `identified()` is called once the request has shown a valid identity.
CALL: Final = "image_builder.call"
NOTE: Final = "image_builder.note"
CONNECTION: Final = "image_builder.connection"
# Where an ASGI message says how many bytes of the body are known to come, those included that came before.
ANNOUNCED: Final = "image_builder.announced"


class Lane(Enum):
    """Whom a handler waits for: those that wait for back-ends have threads of their own, and never hold up others."""

    DIRECT = "direct"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Route:
    """How an operation is carried out."""

    handler: Handler
    lane: Lane = Lane.DIRECT
    # Of the lane WAITING, and most of its calls need no back-end: those do not wait there.
    rarely_waits: bool = False
    # For a handler that reads a large stored document while it holds the body: the bytes of memory that takes. Called
    # with the other arguments, on a thread, for large bodies.
    memory_besides: Callable[..., int] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request: what to run, where, and with which arguments."""

    route: Route
    arguments: Mapping[str, Any]

    def run(self) -> Response:
        """The handler's answer."""
        return self.route.handler(**self.arguments)


@dataclass(slots=True)
class Note:
    """What the access log and the metrics get to know of a request while it is served; and the memory it holds."""

    request_id: str
    memory: Account
    operation: str = ""
    template: str = ""
    tenant: str = ""
    status: int = 0
    # Those that every answer to it tells of.
    limits: tuple[RateLimit, ...] = ()
