"""Types that carry a request from its validation to the handler of its operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flask import Response

from image_builder.http.memory import Account
from image_builder.http.rate_limits import RateLimit

Handler = Callable[..., Response]

# Key of the Call in ASGI scopes and WSGI environments.
CALL: Final = "image_builder.call"
# Key of the RequestRecord in ASGI scopes.
REQUEST_RECORD: Final = "image_builder.request_record"
# Key of the connection in ASGI scopes; `identified()` is called on it when a request has shown a valid identity.
CONNECTION: Final = "image_builder.connection"
# Key in ASGI messages: the bytes of the request's body that have arrived, or that its headers or chunks announce.
ANNOUNCED: Final = "image_builder.announced"


class Lane(Enum):
    """The pool of threads that runs a handler.

    Handlers that wait for back-ends have a pool of their own, so that a hanging back-end blocks no other handlers.
    """

    DIRECT = "direct"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Route:
    """The handler of an operation, and how it is run."""

    handler: Handler
    lane: Lane = Lane.DIRECT
    # For handlers in the lane WAITING whose calls seldom need a back-end. While that lane is busy, a call runs in the
    # lane DIRECT first, and returns to WAITING only if it turns out to need a back-end (ports.waiting).
    rarely_waits: bool = False
    # For a handler that reads a large stored document while it holds the request's body: a function that returns the
    # bytes of memory for that document. It is called on a thread, for large bodies only, with the handler's arguments
    # except the body.
    extra_memory: Callable[..., int] | None = None
    # For a handler whose answer has an entity tag: If-None-Match and `Prefer: wait` are honoured (http/long_poll.py).
    long_poll: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A validated request: its route, and the arguments of the handler."""

    route: Route
    arguments: Mapping[str, Any]

    def run(self) -> Response:
        """Call the handler, and return its answer."""
        return self.route.handler(**self.arguments)


@dataclass(slots=True)
class RequestRecord:
    """What the access log and the metrics report of a request, and the memory that it holds.

    `operation` is the operation id, `template` the path template, `tenant` the organization; each is empty until known,
    and `status` is 0 until the answer begins.
    """

    request_id: str
    memory: Account
    operation: str = ""
    template: str = ""
    tenant: str = ""
    status: int = 0
    # Seconds for which the request waited because the client asked for it.
    waited: float = 0.0
    # The rate limits that each answer to the request reports in its headers.
    limits: tuple[RateLimit, ...] = ()
