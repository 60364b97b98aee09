"""Entries about the arrival of bytes: padding before the hidden request, and the same bytes in two or many parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.support.smuggling.messages import (
    CHUNKED,
    HIDDEN_REQUESTS,
    Entry,
    Outcome,
    Part,
    Pause,
    body,
    chunk,
    get,
    hidden,
    length,
    post,
)

SERVED, REFUSED = Outcome.SERVED, Outcome.REFUSED
_WITH_HIDDEN = 1 + HIDDEN_REQUESTS
_UPGRADE = (b"Connection: Upgrade", b"Upgrade: anything")
_PADDING = (0, 1, 100, 16_384, 65_536, 100_000, 300_000)
_END = b"0\r\n\r\n"


def entries() -> Iterator[Entry]:
    """All entries."""
    for size in _PADDING:
        yield from _padded(size)
    for words, make, status, requests in (
        ("a length", _with_length, 201, 1),
        ("a length, hidden in the body", _hidden_in_body, 400, 1),
        ("chunks", _in_chunks, 201, 1),
        ("chunks, hidden in one", _hidden_in_chunk, 400, 1),
    ):
        yield from _split(words, make, status, requests)
    yield from _split_behind()


def _padded(size: int) -> Iterator[Entry]:
    """Entries with padding in a body around the hidden request, or between the end of a request and the hidden one.

    Recipients skip blank lines before a request line: with such padding, a recipient finds the hidden request wherever
    it begins to read.
    """
    for kind, unit in (("letters", b"a"), ("blank lines", b"\r\n")):
        padding = unit * (size // len(unit))
        for words, lines in (("", ()), ("an Upgrade, ", _UPGRADE)):
            yield from _padded_body(f"padding: {words}{size} bytes of {kind}", lines, padding)
            yield from _padded_end(f"padding: {words}{size} bytes of {kind}", lines, padding)
    name = f"padding: {size} blanks between valid JSON and its end"
    content = body(name) + b" " * size
    yield Entry(name, (post(*_UPGRADE, length(content)), Pause(), content), SERVED, same_through_proxies=True)
    name = f"padding: {size} bytes of hidden requests"
    content = hidden(name)
    content *= 1 + size // len(content)
    yield Entry(name, (post(*_UPGRADE, length(content)), Pause(), content), SERVED, 400, same_through_proxies=True)


def _padded_body(words: str, lines: tuple[bytes, ...], padding: bytes) -> Iterator[Entry]:
    name = f"{words} in the body"
    content = padding + hidden(name)
    message: tuple[Part, ...] = (post(*lines, length(content)), Pause(), content)
    yield Entry(name, message, SERVED, 400, same_through_proxies=True)
    name = f"{words}, then the hidden request by itself"
    content = padding + hidden(name)
    message = (post(*lines, length(content)), Pause(), padding, Pause(), hidden(name))
    yield Entry(name, message, SERVED, 400, same_through_proxies=True)
    name = f"{words} behind the hidden request"
    content = hidden(name) + padding
    yield Entry(name, (post(*lines, length(content)), Pause(), content), SERVED, 400, same_through_proxies=True)
    name = f"{words} in a chunk"
    content = chunk(padding + hidden(name)) + _END
    yield Entry(name, (post(*lines, CHUNKED), Pause(), content), SERVED, 400, same_through_proxies=True)


def _padded_end(words: str, lines: tuple[bytes, ...], padding: bytes) -> Iterator[Entry]:
    name = f"{words} behind the body"
    content = body(name)
    message = post(*lines, length(content)) + content + padding + hidden(name)
    yield Entry(name, (message,), SERVED, requests=_WITH_HIDDEN, closes=True)
    name = f"{words} behind the chunks"
    message = post(*lines, CHUNKED) + chunk(body(name)) + _END + padding + hidden(name)
    yield Entry(name, (message,), SERVED, requests=_WITH_HIDDEN, closes=True)
    name = f"{words} behind a GET"
    yield Entry(name, (get(*lines) + padding + hidden(name),), SERVED, 200, _WITH_HIDDEN, closes=True)


def _with_length(name: str) -> bytes:
    content = body(name)
    return post(*_UPGRADE, length(content)) + content


def _hidden_in_body(name: str) -> bytes:
    content = b"{}" + hidden(name)
    return post(*_UPGRADE, length(content)) + content


def _in_chunks(name: str) -> bytes:
    content = body(name)
    return (
        post(*_UPGRADE, CHUNKED) + chunk(content[:9], extension=b";a=b") + chunk(content[9:]) + b"0\r\nX-Any: 1\r\n\r\n"
    )


def _hidden_in_chunk(name: str) -> bytes:
    return post(*_UPGRADE, CHUNKED) + chunk(b"{}") + chunk(hidden(name)) + _END


def _split(words: str, make: Callable[[str], bytes], status: int, requests: int) -> Iterator[Entry]:
    """The same message in two parts, split at each place, and byte by byte."""

    def name_of(place: int) -> str:
        # The name is part of the message: names of one length keep the places where they are.
        return f"split: {words}, at {place:04}"

    for place in _places(make(name_of(0))):
        message = make(name_of(place))
        parts = (message[:place], Pause(), message[place:])
        yield Entry(name_of(place), parts, SERVED, status, requests, same_through_proxies=True)
    name = f"split: {words}, into bytes"
    parts = tuple(bytes([byte]) for byte in make(name))
    yield Entry(name, parts, SERVED, status, requests, same_through_proxies=True)


def _places(message: bytes) -> list[int]:
    """The places where a message could be misread: around each line's end, and in its first and last bytes."""
    ends = [at for at, byte in enumerate(message) if byte in b"\r\n"]
    places = {1, 4, len(message) - 1, *ends, *[at + 1 for at in ends]}
    return sorted(place for place in places if 0 < place < len(message))


def _split_behind() -> Iterator[Entry]:
    """A request followed by the hidden one, split in either of them: bytes after the end must never be parsed."""
    make = _with_length
    for words, offset in (
        ("in the body", -20),
        ("before the last byte", -1),
        ("a byte behind the end", 1),
        ("in the hidden request", 100),
    ):
        name = f"split: the hidden request behind, {words}"
        first = make(name)
        message = first + hidden(name)
        place = len(first) + offset
        parts = (message[:place], Pause(), message[place:])
        yield Entry(name, parts, SERVED, requests=_WITH_HIDDEN, closes=True, same_through_proxies=True)
