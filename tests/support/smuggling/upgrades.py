"""Entries about requests for another protocol, for a tunnel, or with Expect.

RFC 9110: 7.8 (Upgrade, which a server may ignore), 9.3.6 (CONNECT) and 10.1.1 (Expect).
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.service import BASE
from tests.support.smuggling.messages import (
    CHUNKED,
    GET_LINE,
    HIDDEN_REQUESTS,
    HOST,
    IDENTITY,
    JSON,
    POST_LINE,
    USUAL,
    AwaitAnswer,
    Entry,
    Outcome,
    Part,
    Pause,
    body,
    chunks,
    get,
    head,
    hidden,
    length,
    post,
)

SERVED, REFUSED, EITHER = Outcome.SERVED, Outcome.REFUSED, Outcome.EITHER
_WITH_HIDDEN = 1 + HIDDEN_REQUESTS
_UPGRADE = b"Connection: Upgrade"
_SETTINGS = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
_HANDSHAKE = (
    _UPGRADE,
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

_SPELLINGS: dict[str, tuple[bytes, ...]] = {
    "anything": (_UPGRADE, b"Upgrade: anything"),
    "websocket": (_UPGRADE, b"Upgrade: websocket"),
    "a WebSocket handshake": _HANDSHAKE,
    "h2c": (_UPGRADE, b"Upgrade: h2c"),
    "h2c with settings": _SETTINGS,
    "h2c with two lines of settings": (*_SETTINGS, b"HTTP2-Settings: AAMAAABk"),
    "h2": (_UPGRADE, b"Upgrade: h2"),
    "TLS/1.0": (_UPGRADE, b"Upgrade: TLS/1.0"),
    "HTTP/1.1": (_UPGRADE, b"Upgrade: HTTP/1.1"),
    "HTTP/2.0": (_UPGRADE, b"Upgrade: HTTP/2.0"),
    "several": (_UPGRADE, b"Upgrade: h2c, websocket, TLS/1.0"),
    "two lines": (_UPGRADE, b"Upgrade: h2c", b"Upgrade: websocket"),
    "empty": (_UPGRADE, b"Upgrade:"),
    "in lower case": (b"connection: upgrade", b"upgrade: websocket"),
    "in capitals": (b"CONNECTION: UPGRADE", b"UPGRADE: WEBSOCKET"),
    "in odd cases": (b"cOnNeCtIoN: uPgRaDe", b"uPgRaDe: WebSocket"),
    "keep-alive, Upgrade": (b"Connection: keep-alive, Upgrade", b"Upgrade: anything"),
    "Upgrade, keep-alive": (b"Connection: Upgrade, keep-alive", b"Upgrade: anything"),
    "two lines of Connection": (b"Connection: keep-alive", _UPGRADE, b"Upgrade: anything"),
    "close, Upgrade": (b"Connection: close, Upgrade", b"Upgrade: anything"),
    "empty items": (b"Connection: ,, Upgrade,", b"Upgrade: anything"),
    "without spaces": (b"Connection:keep-alive,Upgrade", b"Upgrade:anything"),
    "tabs": (b"Connection:\tUpgrade\t", b"Upgrade:\twebsocket\t"),
    "Upgrade first": (b"Upgrade: anything", _UPGRADE),
    "no Connection": (b"Upgrade: websocket",),
    "no Upgrade": (_UPGRADE,),
    "Connection names the length": (b"Connection: Upgrade, Content-Length, Transfer-Encoding", b"Upgrade: anything"),
    "Proxy-Connection": (b"Proxy-Connection: Upgrade", b"Upgrade: anything"),
    "no token": (_UPGRADE, b"Upgrade: a b/c d"),
}


def entries() -> Iterator[Entry]:
    """All entries."""
    for words, lines in _SPELLINGS.items():
        yield from _upgrades(words, lines)
    yield from _without_a_body()
    yield from _connect()
    yield from _expect()


def _upgrades(words: str, lines: tuple[bytes, ...]) -> Iterator[Entry]:
    """A valid body with a length and in chunks, and the hidden request as a body that arrives later."""
    closes = True if b"close" in lines[0] else None
    name = f"upgrade: {words}, a length"
    content = body(name)
    yield Entry(name, (post(*lines, length(content)) + content,), SERVED, closes=closes, same_through_proxies=True)
    name = f"upgrade: {words}, in chunks"
    message = post(*lines, CHUNKED)
    yield Entry(name, (message, Pause(), chunks(body(name))), SERVED, closes=closes, same_through_proxies=True)
    name = f"upgrade: {words}, hidden in the body"
    inner = hidden(name)
    message = post(*lines, length(inner))
    yield Entry(name, (message, Pause(), inner), SERVED, 400, closes=closes, same_through_proxies=True)


def _without_a_body() -> Iterator[Entry]:
    for words, lines in (("websocket", _HANDSHAKE), ("h2c", _SETTINGS), ("anything", (_UPGRADE, b"Upgrade: x"))):
        name = f"upgrade: {words}, GET"
        yield Entry(name, (get(*lines),), SERVED, 200, same_through_proxies=True)
        name = f"upgrade: {words}, GET and something behind"
        message = get(*lines) + hidden(name)
        yield Entry(name, (message,), SERVED, 200, _WITH_HIDDEN, closes=True, same_through_proxies=True)
        name = f"upgrade: {words}, GET with a length"
        inner = hidden(name)
        yield Entry(name, (get(*lines, length(inner)), Pause(), inner), SERVED, 200, same_through_proxies=True)
    name = "upgrade: h2c and the preface of HTTP/2 behind"
    message = get(*_SETTINGS) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    yield Entry(name, (message,), SERVED, 200, 3, closes=True)
    name = "upgrade: something behind the body"
    content = body(name)
    message = post(_UPGRADE, b"Upgrade: anything", length(content)) + content + hidden(name)
    yield Entry(name, (message,), SERVED, requests=_WITH_HIDDEN, closes=True, same_through_proxies=True)
    name = "upgrade: something behind the chunks"
    message = post(_UPGRADE, b"Upgrade: anything", CHUNKED) + chunks(body(name)) + hidden(name)
    yield Entry(name, (message,), SERVED, requests=_WITH_HIDDEN, closes=True, same_through_proxies=True)
    name = "upgrade: a length and chunks"
    content = chunks(body(name)) + hidden(name)
    message = post(_UPGRADE, b"Upgrade: anything", length(content), CHUNKED) + content
    yield Entry(name, (message,), REFUSED, requests=_WITH_HIDDEN)
    name = "upgrade: HTTP/1.0"
    content = body(name)
    old = POST_LINE.replace(b"1.1", b"1.0")
    message = head(old, *USUAL, _UPGRADE, b"Upgrade: anything", length(content))
    yield Entry(name, (message, Pause(), content), SERVED, closes=True)
    name = "upgrade: HTTP/1.0, hidden in the body"
    inner = hidden(name)
    message = head(old, *USUAL, _UPGRADE, b"Upgrade: anything", length(inner))
    yield Entry(name, (message, Pause(), inner), SERVED, 400, closes=True)


def _connect() -> Iterator[Entry]:
    for words, target in {
        "a host": b"localhost:443",
        "no port": b"localhost",
        "a path": BASE.encode() + b"/compose",
        "the absolute form": b"http://localhost" + BASE.encode() + b"/compose",
        "nothing": b"",
    }.items():
        line = b"CONNECT %b HTTP/1.1" % target
        name = f"CONNECT: {words}"
        yield Entry(name, (head(line, *USUAL), Pause(), hidden(name)), REFUSED, requests=_WITH_HIDDEN)
        name = f"CONNECT: {words}, with a length"
        inner = hidden(name)
        yield Entry(name, (head(line, *USUAL, length(inner)), Pause(), inner), REFUSED, requests=_WITH_HIDDEN)
        name = f"CONNECT: {words}, in chunks"
        inner = chunks(hidden(name))
        yield Entry(name, (head(line, *USUAL, CHUNKED), Pause(), inner), REFUSED, requests=_WITH_HIDDEN)


def _expect() -> Iterator[Entry]:
    asks = b"Expect: 100-continue"
    for words, line, outcome in (
        ("as usual", asks, SERVED),
        ("in capitals", b"EXPECT: 100-CONTINUE", SERVED),
        ("twice", asks + b"\r\n" + asks, EITHER),
        ("a list", b"Expect: 100-continue, 100-continue", EITHER),
        ("unknown", b"Expect: anything", EITHER),
        ("unknown behind the known", b"Expect: 100-continue, anything", EITHER),
        ("a parameter", b"Expect: 100-continue;a=b", EITHER),
        ("a value", b"Expect: 100-continue=yes", EITHER),
        ("empty", b"Expect:", EITHER),
        ("200-ok", b"Expect: 200-ok", EITHER),
        ("0", b"Expect: 0", EITHER),
        ("NUL", b"Expect: 100-continue\x00", REFUSED),
        ("a vertical tab", b"Expect: \x0b100-continue", REFUSED),
    ):
        name = f"expect: {words}, the body at once"
        content = body(name)
        yield Entry(name, (post(line, length(content)) + content,), outcome)
        name = f"expect: {words}, the hidden request at once"
        inner = hidden(name)
        yield Entry(name, (post(line, length(inner)) + inner,), outcome, 400)
    yield from _late_bodies(asks)
    for words, lines, parts in (
        ("GET", (asks,), ()),
        ("GET with length zero", (asks, b"Content-Length: 0"), ()),
    ):
        name = f"expect: {words}"
        message: tuple[Part, ...] = (get(*lines), *parts)
        yield Entry(name, message, SERVED, 200, same_through_proxies=True)
        name = f"expect: {words}, something behind"
        yield Entry(name, (get(*lines) + hidden(name),), SERVED, 200, _WITH_HIDDEN, closes=True)
    name = "expect: GET with the hidden request as its body"
    inner = hidden(name)
    yield Entry(name, (get(asks, length(inner)), AwaitAnswer(), inner), SERVED, 200, _WITH_HIDDEN)


def _late_bodies(asks: bytes) -> Iterator[Entry]:
    name = "expect: the body when it is asked for"
    content = body(name)
    yield Entry(name, (post(asks, length(content)), AwaitAnswer(), content), SERVED, same_through_proxies=True)
    name = "expect: chunks when they are asked for"
    yield Entry(name, (post(asks, CHUNKED), AwaitAnswer(), chunks(body(name))), SERVED, same_through_proxies=True)
    name = "expect: the body a little later"
    content = body(name)
    yield Entry(name, (post(asks, length(content)), Pause(0.2), content), SERVED, same_through_proxies=True)
    name = "expect: something behind the body that was asked for"
    content = body(name)
    message = (post(asks, length(content)), AwaitAnswer(), content + hidden(name))
    yield Entry(name, message, SERVED, requests=_WITH_HIDDEN, closes=True)
    name = "expect: the hidden request when the body is asked for"
    inner = hidden(name)
    yield Entry(name, (post(asks, length(inner)), AwaitAnswer(), inner), SERVED, 400, same_through_proxies=True)
    # Refused without its body: whether the client sends it then, the server cannot know.
    refused = {
        "without an identity": (POST_LINE, (HOST, JSON), 401),
        "of another media type": (POST_LINE, (HOST, IDENTITY, b"Content-Type: text/plain"), 415),
        "to a path that is not there": (POST_LINE.replace(b"/compose", b"/nothing"), USUAL, 404),
        "by a method that is not allowed": (GET_LINE.replace(b"GET", b"POST"), USUAL, 405),
    }
    for words, (line, lines, status) in refused.items():
        name = f"expect: refused {words}, then its body"
        inner = hidden(name)
        message = (head(line, *lines, asks, length(inner)), AwaitAnswer(), inner)
        yield Entry(name, message, SERVED, status, _WITH_HIDDEN)
        name = f"expect: refused {words}, then chunks"
        message = (head(line, *lines, asks, CHUNKED), AwaitAnswer(), chunks(hidden(name)))
        yield Entry(name, message, SERVED, status, _WITH_HIDDEN)
        name = f"expect: refused {words}, then another request"
        # Whatever of it is no body is a malformed second message.
        message = (head(line, *lines, asks, b"Content-Length: 10"), AwaitAnswer(), hidden(name))
        yield Entry(name, message, SERVED, status, _WITH_HIDDEN, further=True)
    old = POST_LINE.replace(b"1.1", b"1.0")
    name = "expect: HTTP/1.0"
    content = body(name)
    yield Entry(name, (head(old, *USUAL, asks, length(content)), Pause(), content), SERVED, closes=True)
