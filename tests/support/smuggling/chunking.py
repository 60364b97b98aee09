"""Entries about chunked bodies: sizes, extensions, data and trailers (RFC 9112, section 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tests.support.smuggling.messages import (
    CHUNKED,
    HIDDEN_REQUESTS,
    VICTIMS_IDENTITY,
    Entry,
    Outcome,
    body,
    chunk,
    chunks,
    hidden,
    post,
)

SERVED, REFUSED, EITHER = Outcome.SERVED, Outcome.REFUSED, Outcome.EITHER
_END = b"0\r\n\r\n"

# What stands in place of the size of a chunk; N is the true size in hexadecimal digits.
_SIZES: dict[str, tuple[bytes, Outcome]] = {
    "as usual": (b"N", SERVED),
    "two leading zeros": (b"00N", SERVED),
    "twelve leading zeros": (b"0" * 12 + b"N", EITHER),
    "1,000 leading zeros": (b"0" * 1000 + b"N", EITHER),
    "0x": (b"0xN", REFUSED),
    "0X": (b"0XN", REFUSED),
    "plus": (b"+N", REFUSED),
    "minus": (b"-N", REFUSED),
    "underscore": (b"0_N", REFUSED),
    "a space before": (b" N", REFUSED),
    "a tab before": (b"\tN", REFUSED),
    "a space behind": (b"N ", EITHER),
    "a tab behind": (b"N\t", EITHER),
    "a space within": (b"0 N", REFUSED),
    "a vertical tab before": (b"\x0bN", REFUSED),
    "a form feed behind": (b"N\x0c", REFUSED),
    "NUL behind": (b"N\x00", REFUSED),
    "NUL before": (b"\x00N", REFUSED),
    "a letter that is no digit": (b"Ng", REFUSED),
    "a word": (b"chunk", REFUSED),
    "empty": (b"", REFUSED),
    "decimal point": (b"N.0", REFUSED),
    "comma": (b"N,N", REFUSED),
    "quoted": (b'"N"', REFUSED),
    "h behind": (b"Nh", REFUSED),
    "L behind": (b"NL", REFUSED),
    "a full-width digit": (b"\xef\xbc\x95", REFUSED),
    "a superscript digit": (b"N\xb2", REFUSED),
    "more than 32 bits": (b"10000000N", REFUSED),
    "32 bits": (b"ffffffff", REFUSED),
    "63 bits": (b"7fffffffffffffff", REFUSED),
    "minus one in 64 bits": (b"ffffffffffffffff", REFUSED),
    "more than 64 bits": (b"1000000000000000N", REFUSED),
    "300 digits": (b"f" * 300, REFUSED),
    "70,000 digits": (b"f" * 70_000, REFUSED),
    "a byte too many": (b"MORE", REFUSED),
    "a byte too few": (b"LESS", REFUSED),
}

# What stands behind the size of a chunk.
_EXTENSIONS: dict[str, tuple[bytes, Outcome]] = {
    "a name": (b";a", SERVED),
    "a value": (b";a=b", SERVED),
    "a quoted value": (b';a="b c"', SERVED),
    "a quoted semicolon": (b';a="b;c"', SERVED),
    "a quoted pair": (b';a="b\\"c"', SERVED),
    "two": (b";a=b;c=d", SERVED),
    "spaces around": (b" ; a = b", EITHER),
    "an identity": (b";" + VICTIMS_IDENTITY.split(b"=")[0].replace(b": ", b"="), EITHER),
    "empty": (b";", EITHER),
    "two semicolons": (b";;", EITHER),
    "no name": (b";=b", EITHER),
    "100 of them": (b";a=b" * 100, EITHER),
    "10 kB": (b";a=" + b"b" * 10_000, EITHER),
    "100 kB": (b";a=" + b"b" * 100_000, EITHER),
    "a word without a semicolon": (b" a", REFUSED),
    "bare LF": (b";a\nb", REFUSED),
    "bare LF at the end": (b";\n", REFUSED),
    "bare CR": (b";a\rb", REFUSED),
    "CR CR": (b";a\r", REFUSED),
    "a quoted CRLF": (b';a="\r\n"', REFUSED),
    "a quoted LF": (b';a="\n"', REFUSED),
    "NUL": (b";a=\x00", REFUSED),
    "a control character": (b";a=\x01", REFUSED),
}

# Chunked bodies as a whole; the hidden request stands behind each of them as well.
_BODIES: dict[str, tuple[bytes, Outcome]] = {
    "LF behind the size": (b"{size}\n{data}\r\n0\r\n\r\n", REFUSED),
    "CR behind the size": (b"{size}\r{data}\r\n0\r\n\r\n", REFUSED),
    "CR CR LF behind the size": (b"{size}\r\r\n{data}\r\n0\r\n\r\n", REFUSED),
    "LF CR behind the size": (b"{size}\n\r{data}\r\n0\r\n\r\n", REFUSED),
    "nothing behind the data": (b"{size}\r\n{data}0\r\n\r\n", REFUSED),
    "LF behind the data": (b"{size}\r\n{data}\n0\r\n\r\n", REFUSED),
    "CR behind the data": (b"{size}\r\n{data}\r0\r\n\r\n", REFUSED),
    "two other bytes behind the data": (b"{size}\r\n{data}xx0\r\n\r\n", REFUSED),
    "a space behind the data": (b"{size}\r\n{data} \r\n0\r\n\r\n", REFUSED),
    "two CRLF behind the data": (b"{size}\r\n{data}\r\n\r\n0\r\n\r\n", REFUSED),
    "CRLF before the first size": (b"\r\n{size}\r\n{data}\r\n0\r\n\r\n", REFUSED),
    "the last chunk 00": (b"{size}\r\n{data}\r\n00\r\n\r\n", SERVED),
    "the last chunk 000": (b"{size}\r\n{data}\r\n000\r\n\r\n", SERVED),
    "the last chunk with an extension": (b"{size}\r\n{data}\r\n0;a=b\r\n\r\n", SERVED),
    "the last chunk -0": (b"{size}\r\n{data}\r\n-0\r\n\r\n", REFUSED),
    "the last chunk 0x0": (b"{size}\r\n{data}\r\n0x0\r\n\r\n", REFUSED),
    "the last chunk with a space before": (b"{size}\r\n{data}\r\n 0\r\n\r\n", REFUSED),
    "the last chunk empty": (b"{size}\r\n{data}\r\n\r\n\r\n", REFUSED),
    "the last chunk ended by LF": (b"{size}\r\n{data}\r\n0\n\r\n", REFUSED),
    "the last chunk ended by LF LF": (b"{size}\r\n{data}\r\n0\n\n", REFUSED),
    "the end with LF": (b"{size}\r\n{data}\r\n0\r\n\n", REFUSED),
    "the end with CR CR LF": (b"{size}\r\n{data}\r\n0\r\n\r\r\n", REFUSED),
    "the end with CR and a byte": (b"{size}\r\n{data}\r\n0\r\n\rx", REFUSED),
    "the hidden request as a trailer": (b"{size}\r\n{data}\r\n0\r\n{hidden}", REFUSED),
    "the hidden request behind bare LF in a trailer": (b"{size}\r\n{data}\r\n0\r\nX: y\n\n{hidden}\r\n\r\n", REFUSED),
    "the hidden request behind the size": (b"{size}\r\n{hidden}", REFUSED),
    "the hidden request in place of a size": (b"{hidden}", REFUSED),
    "the hidden request behind a data byte too many": (b"{size}\r\n{data}x{hidden}\r\n0\r\n\r\n", REFUSED),
}

# Lines of the trailer section.
_TRAILERS: dict[str, tuple[tuple[bytes, ...], Outcome]] = {
    "any": ((b"X-Any: 1",), SERVED),
    "an empty value": ((b"X-Any:",), SERVED),
    "another identity": ((VICTIMS_IDENTITY,), SERVED),
    "another Host": ((b"Host: other.example",), SERVED),
    "a length": ((b"Content-Length: 5",), SERVED),
    "a coding": ((CHUNKED,), SERVED),
    "Connection: Upgrade": ((b"Connection: Upgrade", b"Upgrade: websocket"), SERVED),
    "a request id": ((b"x-rh-insights-request-id: trailer",), SERVED),
    "Expect": ((b"Expect: 100-continue",), SERVED),
    "two of one name": ((b"X-Any: 1", b"X-Any: 2"), SERVED),
    "100 of them": (tuple(b"X-%d: 1" % number for number in range(100)), EITHER),
    "5,000 of them": (tuple(b"X-%d: 1" % number for number in range(5000)), EITHER),
    "10 kB": ((b"X-Any: " + b"a" * 10_000,), EITHER),
    "100 kB": ((b"X-Any: " + b"a" * 100_000,), EITHER),
    "no colon": ((b"no colon",), REFUSED),
    "an empty name": ((b": 1",), REFUSED),
    "a space before the colon": ((b"X-Any : 1",), REFUSED),
    "a space before the name": ((b" X-Any: 1",), REFUSED),
    "a folded line": ((b"X-Any: 1", b" 2"), EITHER),
    "NUL": ((b"X-Any: \x00",), REFUSED),
    "bare LF": ((b"X-Any: 1\nX-Other: 2",), REFUSED),
    "bare CR": ((b"X-Any: 1\rX-Other: 2",), REFUSED),
    "a request line": ((b"GET / HTTP/1.1", b"Host: localhost"), REFUSED),
}


def entries() -> Iterator[Entry]:
    """All entries, each with the hidden request after its end."""
    for words, (size, outcome) in _SIZES.items():
        name = f"chunk size: {words}"
        yield _entry(name, _with_size(body(name), size) + _END, outcome)
    for words, (extension, outcome) in _EXTENSIONS.items():
        name = f"chunk extension: {words}"
        yield _entry(name, chunk(body(name), extension=extension) + _END, outcome)
    for words, (pattern, outcome) in _BODIES.items():
        name = f"chunks: {words}"
        # Lenient proxies find hidden requests in the body as well as behind it.
        yield replace(_entry(name, _filled(pattern, name), outcome), requests=1 + 2 * HIDDEN_REQUESTS)
    for words, (lines, outcome) in _TRAILERS.items():
        name = f"trailer: {words}"
        yield _entry(name, chunks(body(name), *lines), outcome)
    name = "chunks: of one byte each"
    yield _entry(name, b"".join(chunk(b"%c" % byte) for byte in body(name)) + _END, SERVED)
    name = "chunks: a length that a trailer announces"
    message = post(CHUNKED, b"Trailer: Content-Length") + chunks(body(name), b"Content-Length: 5")
    yield Entry(name, (message + hidden(name),), SERVED, requests=1 + HIDDEN_REQUESTS, closes=True)


def _entry(name: str, content: bytes, outcome: Outcome) -> Entry:
    return Entry(
        name,
        (post(CHUNKED) + content + hidden(name),),
        outcome,
        requests=1 + HIDDEN_REQUESTS,
        closes=True,
        same_through_proxies=outcome is SERVED,
    )


def _with_size(content: bytes, size: bytes) -> bytes:
    wrong = {b"MORE": b"%x" % (len(content) + 1), b"LESS": b"%x" % (len(content) - 1)}
    return chunk(content, wrong.get(size, size.replace(b"N", b"%x" % len(content))))


def _filled(pattern: bytes, name: str) -> bytes:
    """The pattern with its placeholders in braces filled in."""
    content = body(name)
    words = {b"size": b"%x" % len(content), b"data": content, b"hidden": hidden(name)}
    return re.sub(rb"\{(\w+)\}", lambda found: words[found[1]], pattern)
