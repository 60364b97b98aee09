"""Types that carry a request from its validation to the handler of its operation, and keys of ASGI scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from image_builder.http.answers import Answer
from image_builder.http.memory import Account
from image_builder.http.rate_limits import RateLimit

Handler = Callable[..., Answer]

# Key of the Call in ASGI scopes.
CALL: Final = "image_builder.call"
# Key of the RequestRecord in ASGI scopes.
REQUEST_RECORD: Final = "image_builder.request_record"
# Key of the connection in ASGI scopes: a ContractProtocol, of which the validation calls `mark_identified`.
CONNECTION: Final = "image_builder.connection"
# Key in ASGI messages: the number of bytes of the request's body as far as it is known, from its Content-Length or from
# the chunks that have begun to arrive.
KNOWN_BODY_BYTES: Final = "image_builder.known_body_bytes"


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
    # True for a handler in the lane WAITING whose calls seldom need a back-end. While that lane is busy, a call first
    # runs in the lane DIRECT, and waits for a thread of WAITING only if it does need a back-end (ports.waiting).
    rarely_waits: bool = False
    # True for a handler that mostly answers from memory, within two milliseconds: a call first runs on the event loop,
    # and moves to a thread of its lane if it needs a back-end (ports.waiting). It must not use the database.
    at_once: bool = False
    # For a handler that reads a large stored document while it holds the request's body: a function that returns the
    # bytes of memory for that document. It is called on a thread, for large bodies only, with the handler's arguments
    # except the body. None means that the handler reads no document.
    extra_memory: Callable[..., int | None] | None = None
    # Whether the answer has an entity tag, and If-None-Match and `Prefer: wait` are honoured (http/long_poll.py).
    long_poll: bool = False
    # Whether the handler validates the body itself: it gets any JSON object.
    validates_body: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A validated request: its route, and the arguments for the handler."""

    route: Route
    arguments: Mapping[str, Any]

    def run(self) -> Answer:
        """Call the handler, and return its answer."""
        return self.route.handler(**self.arguments)


@dataclass(slots=True)
class RequestRecord:
    """The facts about a request for the access log and the metrics, and the memory that it has reserved.

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
