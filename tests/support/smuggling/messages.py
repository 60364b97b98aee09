"""The parts of the entries of the corpus: requests of an attacker, and hidden requests in the name of a victim."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID, uuid5

from tests.support.builders import compose_request, identity
from tests.support.service import BASE

ATTACKER = "smuggling-attacker"
VICTIM = "smuggling-victim"
HIDDEN = "hidden "
# How many requests `hidden` consists of.
HIDDEN_REQUESTS = 2
_NAMESPACE = UUID("6d9f3f0a-6f0b-4d53-9e2b-0a6d2d1f6f10")
_BASE = BASE.encode()

POST_LINE = b"POST %b/compose HTTP/1.1" % _BASE
GET_LINE = b"GET %b/version HTTP/1.1" % _BASE
HOST = b"Host: localhost"
IDENTITY = b"x-rh-identity: " + identity(ATTACKER).encode()
VICTIMS_IDENTITY = b"x-rh-identity: " + identity(VICTIM).encode()
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
USUAL = (HOST, IDENTITY, JSON)


class Outcome(Enum):
    """What the service may do with a message."""

    SERVED = auto()
    """Answer it as the request that it is."""
    REFUSED = auto()
    """Answer it 4xx (501 or 505 where the RFC says so), then close the connection."""
    EITHER = auto()
    """Serve it or refuse it: the RFC leaves it to the recipient."""
    INCOMPLETE = auto()
    """Wait for the rest; the client then closes its side. The service refuses it or closes without an answer."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The client pauses, so that the preceding bytes arrive separately."""

    seconds: float = 0.03


@dataclass(frozen=True, slots=True)
class AwaitAnswer:
    """The client waits until an answer has begun, an interim one (1xx) or a final one."""


Part = bytes | Pause | AwaitAnswer


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the corpus.

    `status` is the answer if it is served. `requests` is the largest number of final answers that a recipient with
    support for pipelining, such as a proxy, may give: the number of its consecutive messages, including malformed ones.
    The service gives one answer, except to entries with `further`, whose second request arrives when the first may have
    been answered. `closes` requires that the service closes the connection after its answer (True) or keeps it open
    (False). `same_through_proxies` requires `status` through a proxy, too.
    """

    name: str
    parts: tuple[Part, ...]
    outcome: Outcome
    status: int = 201
    requests: int = 1
    closes: bool | None = None
    further: bool = False
    same_through_proxies: bool = False


def body(name: str) -> bytes:
    """A valid body of POST /compose; its image name identifies the build."""
    return json.dumps(compose_request(image_name=name)).encode()


def head(*lines: bytes) -> bytes:
    """These lines, each ended by CRLF, and the blank line."""
    return b"\r\n".join([*lines, b"", b""])


def post(*lines: bytes) -> bytes:
    """The head of the attacker's POST /compose with further header lines."""
    return head(POST_LINE, *USUAL, *lines)


def get(*lines: bytes) -> bytes:
    """The head of the attacker's GET /version with further header lines."""
    return head(GET_LINE, HOST, IDENTITY, *lines)


def length(content: bytes) -> bytes:
    """The Content-Length line of these bytes."""
    return b"Content-Length: %d" % len(content)


def chunk(data: bytes, size: bytes | None = None, extension: bytes = b"") -> bytes:
    """A chunk; `size` replaces its size in hexadecimal digits."""
    return (b"%x" % len(data) if size is None else size) + extension + b"\r\n" + data + b"\r\n"


def chunks(content: bytes, *trailers: bytes) -> bytes:
    """A chunked body of one chunk, the last chunk, and trailers."""
    return chunk(content) + b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"


def victims_blueprint(name: str) -> UUID:
    """The victim's blueprint that the hidden request of this entry deletes."""
    return uuid5(_NAMESPACE, name)


def hidden(name: str) -> bytes:
    """Two consecutive requests in the victim's name."""
    return b"".join(hidden_requests(name))


def hidden_requests(name: str) -> tuple[bytes, bytes]:
    """A request that deletes the victim's blueprint of this entry, and one that starts a build."""
    blueprint = str(victims_blueprint(name)).encode()
    delete = head(b"DELETE %b/blueprints/%b HTTP/1.1" % (_BASE, blueprint), HOST, VICTIMS_IDENTITY)
    build = body(HIDDEN + name)
    return delete, head(POST_LINE, HOST, VICTIMS_IDENTITY, JSON, length(build)) + build


def unique(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """All entries. Raises ValueError for a repeated name, because effects are identified by names."""
    found = {}
    for entry in entries:
        if entry.name in found:
            raise ValueError(f"two entries are named {entry.name!r}")
        found[entry.name] = entry
    return tuple(found.values())
