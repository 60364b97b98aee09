"""Entries about the head: request line, Host, header lines and their ends (RFC 9112, sections 2 to 5)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.service import BASE
from tests.support.smuggling.messages import (
    ATTACKER,
    GET_LINE,
    HIDDEN_REQUESTS,
    HOST,
    IDENTITY,
    JSON,
    POST_LINE,
    USUAL,
    VICTIMS_IDENTITY,
    Entry,
    Outcome,
    body,
    get,
    head,
    hidden,
    length,
    post,
)

SERVED, REFUSED, EITHER = Outcome.SERVED, Outcome.REFUSED, Outcome.EITHER
_WITH_HIDDEN = 1 + HIDDEN_REQUESTS
_PATH = BASE.encode() + b"/version"

# Request lines of a GET; the usual header lines follow, then the hidden request.
_REQUEST_LINES: dict[str, tuple[bytes, Outcome]] = {
    "as usual": (GET_LINE, SERVED),
    "a query": (b"GET %b?a=b HTTP/1.1" % _PATH, SERVED),
    "the absolute form": (b"GET http://localhost%b HTTP/1.1" % _PATH, SERVED),
    "the absolute form in capitals": (b"GET HTTP://LOCALHOST%b HTTP/1.1" % _PATH, SERVED),
    "the absolute form with a port": (b"GET http://localhost:8086%b HTTP/1.1" % _PATH, SERVED),
    "the absolute form of another host": (b"GET http://other.example%b HTTP/1.1" % _PATH, EITHER),
    "the absolute form of https": (b"GET https://localhost%b HTTP/1.1" % _PATH, EITHER),
    "the absolute form of ftp": (b"GET ftp://localhost%b HTTP/1.1" % _PATH, EITHER),
    "the absolute form with a user": (b"GET http://user@localhost%b HTTP/1.1" % _PATH, EITHER),
    "the absolute form without a host": (b"GET http://%b HTTP/1.1" % _PATH, EITHER),
    "the absolute form with one slash": (b"GET http:/localhost%b HTTP/1.1" % _PATH, EITHER),
    "the authority form": (b"GET localhost:80 HTTP/1.1", REFUSED),
    "an asterisk": (b"GET * HTTP/1.1", REFUSED),
    "OPTIONS of an asterisk": (b"OPTIONS * HTTP/1.1", EITHER),
    "no slash before": (b"GET %b HTTP/1.1" % _PATH[1:], REFUSED),
    "two slashes before": (b"GET /%b HTTP/1.1" % _PATH, EITHER),
    "a fragment": (b"GET %b#a HTTP/1.1" % _PATH, EITHER),
    "a backslash": (b"GET %b\\a HTTP/1.1" % _PATH, EITHER),
    "no target": (b"GET HTTP/1.1", REFUSED),
    "an empty target": (b"GET  HTTP/1.1", REFUSED),
    "a space in the target": (b"GET %b a HTTP/1.1" % _PATH, REFUSED),
    "a tab in the target": (b"GET %b\ta HTTP/1.1" % _PATH, REFUSED),
    "another request in the target": (b"GET %b HTTP/1.1 HTTP/1.1" % _PATH, REFUSED),
    "two spaces before the target": (b"GET  %b HTTP/1.1" % _PATH, REFUSED),
    "two spaces before the version": (b"GET %b  HTTP/1.1" % _PATH, REFUSED),
    "a tab before the target": (b"GET\t%b HTTP/1.1" % _PATH, REFUSED),
    "a tab before the version": (b"GET %b\tHTTP/1.1" % _PATH, REFUSED),
    "a vertical tab before the version": (b"GET %b\x0bHTTP/1.1" % _PATH, REFUSED),
    "a form feed before the target": (b"GET\x0c%b HTTP/1.1" % _PATH, REFUSED),
    "a space before": (b" GET %b HTTP/1.1" % _PATH, REFUSED),
    "a space behind": (b"GET %b HTTP/1.1 " % _PATH, REFUSED),
    "a tab behind": (b"GET %b HTTP/1.1\t" % _PATH, REFUSED),
    "NUL in the target": (b"GET %b\x00 HTTP/1.1" % _PATH, REFUSED),
    "NUL in the method": (b"GE\x00T %b HTTP/1.1" % _PATH, REFUSED),
    "a control character in the target": (b"GET %b\x01 HTTP/1.1" % _PATH, REFUSED),
    "DEL in the target": (b"GET %b\x7f HTTP/1.1" % _PATH, REFUSED),
    "UTF-8 in the target": (b"GET %b/\xc3\xa4 HTTP/1.1" % _PATH, EITHER),
    "bare CR in the target": (b"GET %b\ra HTTP/1.1" % _PATH, REFUSED),
    "bare CR before the version": (b"GET %b\rHTTP/1.1" % _PATH, REFUSED),
    "bare CR behind": (b"GET %b HTTP/1.1\r" % _PATH, REFUSED),
    "bare CR and a header behind": (b"GET %b HTTP/1.1\rX-Any: 1" % _PATH, REFUSED),
    "bare LF and a header behind": (b"GET %b HTTP/1.1\nX-Any: 1" % _PATH, REFUSED),
    "bare LF in the target": (b"GET %b\na HTTP/1.1" % _PATH, REFUSED),
    "an encoded request in the target": (
        b"GET %b?a=%%20HTTP/1.1%%0d%%0aHost:%%20localhost%%0d%%0a%%0d%%0aDELETE%%20/ HTTP/1.1" % _PATH,
        SERVED,
    ),
    "the method in lower case": (b"get %b HTTP/1.1" % _PATH, REFUSED),
    "an unknown method": (b"SMUGGLE %b HTTP/1.1" % _PATH, REFUSED),
    "a method that is no token": (b"G(T %b HTTP/1.1" % _PATH, REFUSED),
    "a colon behind the method": (b"GET: %b HTTP/1.1" % _PATH, REFUSED),
    "a long method": (b"G" * 300 + b" %b HTTP/1.1" % _PATH, REFUSED),
    "a long target": (b"GET %b?%b HTTP/1.1" % (_PATH, b"a" * 100_000), REFUSED),
    "the version in lower case": (b"GET %b http/1.1" % _PATH, REFUSED),
    "no version": (b"GET %b" % _PATH, REFUSED),
    "no version but a space": (b"GET %b " % _PATH, REFUSED),
    "version 0.9": (b"GET %b HTTP/0.9" % _PATH, REFUSED),
    "version 1": (b"GET %b HTTP/1" % _PATH, REFUSED),
    "version 1.2": (b"GET %b HTTP/1.2" % _PATH, EITHER),
    "version 1.10": (b"GET %b HTTP/1.10" % _PATH, REFUSED),
    "version 01.1": (b"GET %b HTTP/01.1" % _PATH, REFUSED),
    "version 1.1.1": (b"GET %b HTTP/1.1.1" % _PATH, REFUSED),
    "version 1,1": (b"GET %b HTTP/1,1" % _PATH, REFUSED),
    "version 2.0": (b"GET %b HTTP/2.0" % _PATH, REFUSED),
    "version 3": (b"GET %b HTTP/3" % _PATH, REFUSED),
    "a space in the version": (b"GET %b HTTP /1.1" % _PATH, REFUSED),
    "another protocol": (b"GET %b HTTPS/1.1" % _PATH, REFUSED),
}

# Host lines of a GET; the hidden request stands behind it.
_HOSTS: dict[str, tuple[tuple[bytes, ...], Outcome]] = {
    "as usual": ((HOST,), SERVED),
    "a port": ((b"Host: localhost:8086",), SERVED),
    "an address": ((b"Host: 127.0.0.1:80",), SERVED),
    "an IPv6 address": ((b"Host: [::1]:80",), SERVED),
    "spaces around": ((b"Host:  localhost ",), SERVED),
    "in capitals": ((b"HOST: LOCALHOST",), SERVED),
    "missing": ((), REFUSED),
    "twice the same": ((HOST, HOST), REFUSED),
    "twice": ((HOST, b"Host: other.example"), REFUSED),
    "twice, one of them in lower case": ((HOST, b"host: other.example"), REFUSED),
    "twice, one of them empty": ((HOST, b"Host:"), REFUSED),
    "twice, apart": ((HOST, b"X-Any: 1", HOST), REFUSED),
    "empty": ((b"Host:",), EITHER),
    "an empty port": ((b"Host: localhost:",), EITHER),
    "a port too large": ((b"Host: localhost:99999",), EITHER),
    "percent-encoded": ((b"Host: local%68ost",), EITHER),
    "an underscore": ((b"Host: local_host",), EITHER),
    "a space within": ((b"Host: local host",), REFUSED),
    "a tab within": ((b"Host: local\thost",), REFUSED),
    "a list": ((b"Host: localhost, other.example",), REFUSED),
    "a URL": ((b"Host: http://localhost/",), REFUSED),
    "a path": ((b"Host: localhost/a",), REFUSED),
    "a query": ((b"Host: localhost?a",), REFUSED),
    "a fragment": ((b"Host: localhost#a",), REFUSED),
    "a user": ((b"Host: user@localhost",), REFUSED),
    "a backslash": ((b"Host: localhost\\a",), REFUSED),
    "two colons": ((b"Host: localhost:80:80",), REFUSED),
    "a port that is no number": ((b"Host: localhost:http",), REFUSED),
    "a negative port": ((b"Host: localhost:-1",), REFUSED),
    "half an IPv6 address": ((b"Host: [::1",), REFUSED),
    "angle brackets": ((b"Host: <localhost>",), REFUSED),
    "quoted": ((b'Host: "localhost"',), REFUSED),
    "UTF-8": ((b"Host: l\xc3\xb6calhost",), REFUSED),
    "NUL": ((b"Host: localhost\x00",), REFUSED),
    "bare CR": ((b"Host: localhost\rX: y",), REFUSED),
    "a folded line": ((b"Host:\r\n localhost",), REFUSED),
    "a space before the colon": ((b"Host : localhost",), REFUSED),
    "a space before the name": ((b" Host: localhost",), REFUSED),
}

# A further header line of a POST with a valid body.
_LINES: dict[str, tuple[bytes, Outcome]] = {
    "no colon": (b"X-Any", REFUSED),
    "no colon but a space": (b"X-Any 1", REFUSED),
    "an empty name": (b": 1", REFUSED),
    "an empty name and value": (b":", REFUSED),
    "a space before the colon": (b"X-Any : 1", REFUSED),
    "a tab before the colon": (b"X-Any\t: 1", REFUSED),
    "a space in the name": (b"X Any: 1", REFUSED),
    "a parenthesis in the name": (b"X(Any: 1", REFUSED),
    "a slash in the name": (b"X/Any: 1", REFUSED),
    "an at sign in the name": (b"X@Any: 1", REFUSED),
    "a quoted name": (b'"X-Any": 1', REFUSED),
    "NUL in the name": (b"X\x00Any: 1", REFUSED),
    "a control character in the name": (b"X\x01Any: 1", REFUSED),
    "DEL in the name": (b"X\x7fAny: 1", REFUSED),
    "UTF-8 in the name": (b"X-\xc3\xa4: 1", REFUSED),
    "bare CR in the name": (b"X-A\rny: 1", REFUSED),
    "bare LF in the name": (b"X-A\nny: 1", REFUSED),
    "an empty value": (b"X-Any:", SERVED),
    "a tab in the value": (b"X-Any: a\tb", SERVED),
    "8-bit bytes in the value": (b"X-Any: \xc3\xa4\xff", SERVED),
    "NUL in the value": (b"X-Any: a\x00b", REFUSED),
    "a control character in the value": (b"X-Any: a\x01b", REFUSED),
    "a vertical tab in the value": (b"X-Any: a\x0bb", REFUSED),
    "ESC in the value": (b"X-Any: a\x1b[0mb", REFUSED),
    "DEL in the value": (b"X-Any: a\x7fb", REFUSED),
    "bare CR in the value": (b"X-Any: a\rb", REFUSED),
    "bare CR at the end of the value": (b"X-Any: a\r", REFUSED),
    "bare LF in the value": (b"X-Any: a\nX-Other: b", REFUSED),
    "CR LF the other way round": (b"X-Any: a\n\rX-Other: b", REFUSED),
    "a folded value": (b"X-Any: a\r\n b", EITHER),
    "a folded value with a tab": (b"X-Any: a\r\n\tb", EITHER),
    "a folded empty line": (b"X-Any: a\r\n \r\nX-Other: b", EITHER),
    "a folded header": (b"X-Any: a\r\n Content-Length: 5", EITHER),
    "a request in a value": (b"X-Any: GET / HTTP/1.1", SERVED),
    "an identity with underscores": (VICTIMS_IDENTITY.replace(b"x-rh-identity", b"x_rh_identity"), SERVED),
    "70,000 bytes": (b"X-Any: " + b"a" * 70_000, REFUSED),
    "300,000 bytes": (b"X-Any: " + b"a" * 300_000, REFUSED),
    "50,000 bytes of name": (b"X" * 50_000 + b": 1", EITHER),
    "100 of them": (b"\r\n".join([b"X-Any: 1"] * 100), EITHER),
    "3,000 of them": (b"\r\n".join([b"X-Any: 1"] * 3000), EITHER),
    "10,000 of them": (b"\r\n".join([b"X-Any: 1"] * 10_000), REFUSED),
}

# What ends the head of a POST with a valid body in place of CR LF CR LF.
_ENDS: dict[str, bytes] = {
    "LF LF": b"\n\n",
    "CR LF LF": b"\r\n\n",
    "LF CR LF": b"\n\r\n",
    "CR CR": b"\r\r",
    "CR CR LF": b"\r\r\n",
    "CR LF CR": b"\r\n\r",
    "CR LF CR CR LF": b"\r\n\r\r\n",
    "CR LF space CR LF": b"\r\n \r\n",
    "CR LF NUL CR LF": b"\r\n\x00\r\n",
    "LF CR LF CR": b"\n\r\n\r",
}


def entries() -> Iterator[Entry]:
    """All entries."""
    for words, (line, outcome) in _REQUEST_LINES.items():
        yield _read(f"request line: {words}", (line, HOST, IDENTITY), outcome)
    for words, (lines, outcome) in _HOSTS.items():
        yield _read(f"Host: {words}", (GET_LINE, *lines, IDENTITY), outcome)
    for words, (line, outcome) in _LINES.items():
        name = f"header: {words}"
        content = body(name)
        yield _write(name, head(POST_LINE, *USUAL, line, length(content)), content, outcome)
        name = f"last header: {words}"
        content = body(name)
        yield _write(name, head(POST_LINE, *USUAL, length(content), line), content, outcome)
    for words, end in _ENDS.items():
        name = f"end of the head: {words}"
        content = body(name)
        yield _write(name, post(length(content))[:-4] + end, content, REFUSED)
    yield from _first_bytes()
    yield from _identities()


def _read(name: str, lines: tuple[bytes, ...], outcome: Outcome) -> Entry:
    # HAProxy wants the port of the absolute form to be that of Host.
    served = outcome is SERVED and b"http://localhost:" not in lines[0]
    message = head(*lines) + hidden(name)
    return Entry(name, (message,), outcome, 200, _WITH_HIDDEN, closes=True, same_through_proxies=served)


def _write(name: str, message: bytes, content: bytes, outcome: Outcome) -> Entry:
    served = outcome is SERVED
    whole = message + content + hidden(name)
    return Entry(name, (whole,), outcome, 201, _WITH_HIDDEN, closes=True, same_through_proxies=served)


def _first_bytes() -> Iterator[Entry]:
    for words, first, outcome in (
        ("CR LF", b"\r\n", EITHER),
        ("three times CR LF", b"\r\n\r\n\r\n", EITHER),
        ("LF", b"\n", EITHER),
        ("CR", b"\r", EITHER),
        ("NUL", b"\x00", REFUSED),
        ("a byte order mark", b"\xef\xbb\xbf", REFUSED),
        ("a header line", b"X-Any: 1\r\n", REFUSED),
        ("a PROXY line", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", REFUSED),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", REFUSED),
    ):
        name = f"before the request: {words}"
        yield Entry(name, (first + get() + hidden(name),), outcome, 200, 1 + _WITH_HIDDEN, closes=True)
    name = "request line: HTTP/0.9 and the hidden request"
    yield Entry(name, (b"GET %b\r\n" % _PATH + hidden(name),), REFUSED, requests=_WITH_HIDDEN)
    name = "header: a space before the first one"
    message = head(GET_LINE, b" X-Any: 1", HOST, IDENTITY) + hidden(name)
    yield Entry(name, (message,), REFUSED, requests=_WITH_HIDDEN)
    name = "header: a folded line before the first one"
    message = head(GET_LINE, b"\tX-Any: 1", HOST, IDENTITY) + hidden(name)
    yield Entry(name, (message,), REFUSED, requests=_WITH_HIDDEN)


def _identities() -> Iterator[Entry]:
    """Requests whose identity could be confused with another one; ambiguous ones are answered with 401."""
    for words, lines, status in (
        ("two", (IDENTITY, VICTIMS_IDENTITY), 401),
        ("two, the other way round", (VICTIMS_IDENTITY, IDENTITY), 401),
        ("with underscores only", (VICTIMS_IDENTITY.replace(b"-", b"_", 2),), 401),
        ("a list", (IDENTITY + b", " + VICTIMS_IDENTITY.partition(b": ")[2],), 401),
        ("none", (), 401),
    ):
        name = f"identity: {words}"
        content = body(name)
        message = head(POST_LINE, HOST, JSON, *lines, length(content)) + content
        yield Entry(name, (message,), SERVED, status)
    name = f"identity: {ATTACKER} with a victim's in a bare CR"
    content = body(name)
    message = head(POST_LINE, HOST, JSON, IDENTITY + b"\r" + VICTIMS_IDENTITY, length(content)) + content
    yield Entry(name, (message,), REFUSED)
    name = f"identity: {ATTACKER} with a victim's in a folded line"
    content = body(name)
    message = head(POST_LINE, HOST, JSON, IDENTITY, b" " + VICTIMS_IDENTITY, length(content)) + content
    yield Entry(name, (message,), EITHER, 401)
