"""Entries about the length of a body: Content-Length, Transfer-Encoding, and both (RFC 9112, section 6)."""

from __future__ import annotations

from collections.abc import Iterator

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

# Header lines in place of Content-Length; N is the true length.
_LENGTHS: dict[str, tuple[bytes, Outcome]] = {
    "as usual": (b"Content-Length: N", SERVED),
    "in lower case": (b"content-length: N", SERVED),
    "no space behind the colon": (b"Content-Length:N", SERVED),
    "two spaces before": (b"Content-Length:   N", SERVED),
    "a tab before": (b"Content-Length:\tN", SERVED),
    "spaces and tabs behind": (b"Content-Length: N \t ", SERVED),
    "leading zeros": (b"Content-Length: 000N", EITHER),
    "thirty leading zeros": (b"Content-Length: " + b"0" * 30 + b"N", EITHER),
    "an equal list": (b"Content-Length: N, N", EITHER),
    "an equal list without a space": (b"Content-Length: N,N", EITHER),
    "two equal lines": (b"Content-Length: N\r\nContent-Length: N", EITHER),
    "a list of two": (b"Content-Length: N, 5", REFUSED),
    "a list of two, the other way round": (b"Content-Length: 5, N", REFUSED),
    "two lines": (b"Content-Length: N\r\nContent-Length: 5", REFUSED),
    "two lines, the other way round": (b"Content-Length: 5\r\nContent-Length: N", REFUSED),
    "two lines, one of them zero": (b"Content-Length: 0\r\nContent-Length: N", REFUSED),
    "two lines apart": (b"Content-Length: N\r\nX-Between: 1\r\ncontent-length: 0", REFUSED),
    "two lines, one of them empty": (b"Content-Length: N\r\nContent-Length:", REFUSED),
    "two lines, one of them no number": (b"Content-Length: N\r\nContent-Length: x", REFUSED),
    "an empty item before": (b"Content-Length: ,N", REFUSED),
    "an empty item behind": (b"Content-Length: N,", REFUSED),
    "empty": (b"Content-Length:", REFUSED),
    "blank": (b"Content-Length:  ", REFUSED),
    "plus": (b"Content-Length: +N", REFUSED),
    "minus": (b"Content-Length: -N", REFUSED),
    "minus zero": (b"Content-Length: -0", REFUSED),
    "minus one": (b"Content-Length: -1", REFUSED),
    "0x": (b"Content-Length: 0xN", REFUSED),
    "0o": (b"Content-Length: 0o7", REFUSED),
    "hexadecimal": (b"Content-Length: ff", REFUSED),
    "underscore": (b"Content-Length: 1_0", REFUSED),
    "decimal point": (b"Content-Length: N.0", REFUSED),
    "exponent": (b"Content-Length: 1e2", REFUSED),
    "semicolon": (b"Content-Length: N;", REFUSED),
    "quoted": (b'Content-Length: "N"', REFUSED),
    "a space within": (b"Content-Length: 1 N", REFUSED),
    "a tab within": (b"Content-Length: 1\tN", REFUSED),
    "a letter behind": (b"Content-Length: Nx", REFUSED),
    "a vertical tab before": (b"Content-Length: \x0bN", REFUSED),
    "a form feed behind": (b"Content-Length: N\x0c", REFUSED),
    "NUL behind": (b"Content-Length: N\x00", REFUSED),
    "NUL before": (b"Content-Length: \x00N", REFUSED),
    "no-break space behind": (b"Content-Length: N\xa0", REFUSED),
    "a superscript digit": (b"Content-Length: N\xb2", REFUSED),
    "an Arabic digit": (b"Content-Length: N\xd9\xa5", REFUSED),
    "a full-width digit": (b"Content-Length: \xef\xbc\x95", REFUSED),
    "19 digits": (b"Content-Length: 9223372036854775807", REFUSED),
    "19 digits, one more": (b"Content-Length: 9223372036854775808", REFUSED),
    "20 digits": (b"Content-Length: 18446744073709551616", REFUSED),
    "20 digits that overflow to 5": (b"Content-Length: 18446744073709551621", REFUSED),
    "10 digits that overflow to 5": (b"Content-Length: 4294967301", REFUSED),
    "5,000 digits": (b"Content-Length: " + b"9" * 5000, REFUSED),
    "a space before the colon": (b"Content-Length : N", REFUSED),
    "a tab before the colon": (b"Content-Length\t: N", REFUSED),
    "a space before the name": (b" Content-Length: N", REFUSED),
    "a folded line": (b"Content-Length:\r\n N", REFUSED),
    "a folded second item": (b"Content-Length: N\r\n 5", REFUSED),
    "bare CR before the number": (b"Content-Length: \rN", REFUSED),
    "bare CR behind the number": (b"Content-Length: N\rX: y", REFUSED),
    "bare LF before the line": (b"X-Before: 1\nContent-Length: N", REFUSED),
    "bare LF behind the line": (b"Content-Length: N\nX-Behind: 1", REFUSED),
}

# Header lines in place of `Transfer-Encoding: chunked`; the body is chunked.
_CODINGS: dict[str, tuple[bytes, Outcome]] = {
    "as usual": (CHUNKED, SERVED),
    "in capitals": (b"TRANSFER-ENCODING: CHUNKED", SERVED),
    "with a capital": (b"Transfer-Encoding: Chunked", SERVED),
    "no space behind the colon": (b"Transfer-Encoding:chunked", SERVED),
    "two spaces before": (b"Transfer-Encoding:  chunked", SERVED),
    "a tab before": (b"Transfer-Encoding:\tchunked", SERVED),
    "a space behind": (b"Transfer-Encoding: chunked ", SERVED),
    "a tab behind": (b"Transfer-Encoding: chunked\t", SERVED),
    "an empty item before": (b"Transfer-Encoding: , chunked", EITHER),
    "an empty item behind": (b"Transfer-Encoding: chunked,", EITHER),
    "xchunked": (b"Transfer-Encoding: xchunked", REFUSED),
    "chunkedx": (b"Transfer-Encoding: chunkedx", REFUSED),
    "chunk": (b"Transfer-Encoding: chunk", REFUSED),
    "quoted": (b'Transfer-Encoding: "chunked"', REFUSED),
    "a parameter": (b"Transfer-Encoding: chunked;q=1", REFUSED),
    "an empty parameter": (b"Transfer-Encoding: chunked;", REFUSED),
    "two words": (b"Transfer-Encoding: chunked chunked", REFUSED),
    "empty": (b"Transfer-Encoding:", REFUSED),
    "identity": (b"Transfer-Encoding: identity", REFUSED),
    "gzip": (b"Transfer-Encoding: gzip", REFUSED),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity", REFUSED),
    "identity, chunked": (b"Transfer-Encoding: identity, chunked", REFUSED),
    "gzip, chunked": (b"Transfer-Encoding: gzip, chunked", REFUSED),
    "chunked, gzip": (b"Transfer-Encoding: chunked, gzip", REFUSED),
    "chunked, chunked": (b"Transfer-Encoding: chunked, chunked", REFUSED),
    "two lines": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", REFUSED),
    "two lines, the second one identity": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", REFUSED),
    "two lines, the first one identity": (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", REFUSED),
    "two lines, the second one unknown": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", REFUSED),
    "two lines, the first one empty": (b"Transfer-Encoding:\r\nTransfer-Encoding: chunked", REFUSED),
    "a vertical tab before": (b"Transfer-Encoding: \x0bchunked", REFUSED),
    "a vertical tab behind": (b"Transfer-Encoding: chunked\x0b", REFUSED),
    "a form feed before": (b"Transfer-Encoding: \x0cchunked", REFUSED),
    "NUL before": (b"Transfer-Encoding: \x00chunked", REFUSED),
    "NUL behind": (b"Transfer-Encoding: chunked\x00", REFUSED),
    "NUL in the name": (b"Transfer-Encoding\x00: chunked", REFUSED),
    "no-break space behind": (b"Transfer-Encoding: chunked\xa0", REFUSED),
    "next line (0x85) before": (b"Transfer-Encoding: \x85chunked", REFUSED),
    "long s": (b"Transfer-Encoding: chun\xe2\x84\xaaed", REFUSED),
    "a space before the colon": (b"Transfer-Encoding : chunked", REFUSED),
    "a tab before the colon": (b"Transfer-Encoding\t: chunked", REFUSED),
    "a space before the name": (b" Transfer-Encoding: chunked", REFUSED),
    "a folded line": (b"Transfer-Encoding:\r\n chunked", REFUSED),
    "a word folded in its midst": (b"Transfer-Encoding: chun\r\n ked", REFUSED),
    "a folded second item": (b"Transfer-Encoding: chunked\r\n , identity", REFUSED),
    "bare CR before": (b"X-Before: 1\rTransfer-Encoding: chunked", REFUSED),
    "bare CR behind": (b"Transfer-Encoding: chunked\rX: y", REFUSED),
    "bare LF before": (b"X-Before: 1\nTransfer-Encoding: chunked", REFUSED),
    "bare LF behind": (b"Transfer-Encoding: chunked\nX-Behind: 1", REFUSED),
    "a hyphen too much": (b"Transfer--Encoding: chunked", SERVED),
    "an underscore": (b"Transfer_Encoding: chunked", SERVED),
    "another name": (b"X-Transfer-Encoding: chunked", SERVED),
    "TE": (b"TE: chunked", SERVED),
}
# These lines are no Transfer-Encoding: the request has no body, which POST /compose answers with 400.
_OTHER_NAMES = {"a hyphen too much", "an underscore", "another name", "TE"}

# Both lines; N is the length of all that follows the head, S that of the first chunk's size line, Z is zero.
_BOTH: dict[str, tuple[bytes, ...]] = {
    "the whole, then chunked": (b"Content-Length: N", CHUNKED),
    "chunked, then the whole": (CHUNKED, b"Content-Length: N"),
    "zero, then chunked": (b"Content-Length: 0", CHUNKED),
    "chunked, then zero": (CHUNKED, b"Content-Length: 0"),
    "the first size line, then chunked": (b"Content-Length: S", CHUNKED),
    "chunked, then the first size line": (CHUNKED, b"Content-Length: S"),
    "in odd cases": (b"cOnTeNt-LeNgTh: N", b"tRaNsFeR-eNcOdInG: cHuNkEd"),
    "an unknown coding": (b"Content-Length: N", b"Transfer-Encoding: xchunked"),
    "identity": (b"Content-Length: N", b"Transfer-Encoding: identity"),
    "an empty coding": (b"Content-Length: N", b"Transfer-Encoding:"),
    "chunked, identity": (b"Content-Length: S", b"Transfer-Encoding: chunked, identity"),
    "two codings": (b"Content-Length: S", CHUNKED, b"Transfer-Encoding: cow"),
    "a coding behind a vertical tab": (b"Content-Length: S", b"Transfer-Encoding: \x0bchunked"),
    "a space before the colon": (b"Content-Length: N", b"Transfer-Encoding : chunked"),
    "a space before the colon of the length": (b"Content-Length : S", CHUNKED),
    "a folded coding": (b"Content-Length: N", b"Transfer-Encoding:\r\n chunked"),
    "a coding folded into another header": (b"Content-Length: N", b"X-Other: 1\r\n Transfer-Encoding: chunked"),
    "a coding behind bare CR": (b"Content-Length: N", b"X-Other: 1\rTransfer-Encoding: chunked"),
    "a coding behind bare LF": (b"Content-Length: N", b"X-Other: 1\nTransfer-Encoding: chunked"),
    "a coding behind NUL": (b"Content-Length: N", b"X-Other: 1\x00Transfer-Encoding: chunked"),
    "lengths that differ": (b"Content-Length: N", b"Content-Length: S", CHUNKED),
}


def entries() -> Iterator[Entry]:
    """All entries."""
    yield from _lengths()
    yield from _codings()
    yield from _both()
    yield from _old_versions()
    yield from _without_a_body()


def _lengths() -> Iterator[Entry]:
    for words, (line, outcome) in _LENGTHS.items():
        name = f"length: {words}"
        content = body(name)
        message = post(line.replace(b"N", b"%d" % len(content)))
        yield Entry(
            name,
            (message + content + hidden(name),),
            outcome,
            requests=_WITH_HIDDEN,
            closes=True,
            same_through_proxies=_is_same(line, outcome),
        )


def _codings() -> Iterator[Entry]:
    for words, (line, outcome) in _CODINGS.items():
        name = f"coding: {words}"
        other = words in _OTHER_NAMES
        yield Entry(
            name,
            (post(line) + chunks(body(name)) + hidden(name),),
            outcome,
            status=400 if other else 201,
            requests=_WITH_HIDDEN,
            closes=True,
            same_through_proxies=_is_same(line, outcome),
        )


def _both() -> Iterator[Entry]:
    for words, lines in _BOTH.items():
        name = f"length and coding: {words}"
        content = chunks(body(name)) + hidden(name)
        numbers = {b"N": len(content), b"S": content.index(b"\n") + 1}
        message = post(*[_numbered(line, numbers) for line in lines])
        yield Entry(name, (message + content,), REFUSED, requests=_WITH_HIDDEN)
    # The length covers the hidden request as well, which arrives later.
    name = "length and coding: the hidden request in a part of its own"
    content, behind = chunks(body(name)), hidden(name)
    message = post(CHUNKED, length(content + behind))
    yield Entry(name, (message + content, Pause(), behind), REFUSED, requests=_WITH_HIDDEN)


def _old_versions() -> Iterator[Entry]:
    old = POST_LINE.replace(b"1.1", b"1.0")
    name = "HTTP/1.0: a length"
    content = body(name)
    message = head(old, *USUAL, length(content)) + content
    yield Entry(name, (message,), SERVED, closes=True, same_through_proxies=True)
    name = "HTTP/1.0: a length and something behind"
    content = body(name)
    message = head(old, *USUAL, length(content)) + content + hidden(name)
    yield Entry(name, (message,), SERVED, closes=True, requests=_WITH_HIDDEN, same_through_proxies=True)
    name = "HTTP/1.0: keep-alive and something behind"
    content = body(name)
    message = head(old, *USUAL, b"Connection: keep-alive", length(content)) + content + hidden(name)
    yield Entry(name, (message,), SERVED, closes=True, requests=_WITH_HIDDEN, same_through_proxies=True)
    name = "HTTP/1.0: no length"
    yield Entry(name, (head(old, *USUAL) + hidden(name),), SERVED, 400, closes=True, requests=_WITH_HIDDEN)
    name = "HTTP/1.0: chunked"
    message = head(old, *USUAL, CHUNKED) + chunks(body(name)) + hidden(name)
    yield Entry(name, (message,), REFUSED, requests=_WITH_HIDDEN)
    name = "HTTP/1.0: chunked with keep-alive"
    message = head(old, *USUAL, b"Connection: keep-alive", CHUNKED) + chunks(body(name)) + hidden(name)
    yield Entry(name, (message,), REFUSED, requests=_WITH_HIDDEN)
    name = "HTTP/1.0: chunked and a length"
    content = chunks(body(name)) + hidden(name)
    yield Entry(name, (head(old, *USUAL, CHUNKED, length(content)) + content,), REFUSED, requests=_WITH_HIDDEN)
    name = "HTTP/1.0: no Host"
    content = body(name)
    yield Entry(name, (head(old, IDENTITY, JSON, length(content)) + content,), SERVED, closes=True)


def _without_a_body() -> Iterator[Entry]:
    name = "GET: the hidden request behind it"
    yield Entry(name, (get() + hidden(name),), SERVED, 200, _WITH_HIDDEN, closes=True, same_through_proxies=True)
    name = "GET: the hidden request as its body"
    inner = hidden(name)
    yield Entry(name, (get(length(inner)) + inner,), SERVED, 200, same_through_proxies=True)
    name = "GET: the hidden request as its late body"
    inner = hidden(name)
    yield Entry(name, (get(length(inner)), Pause(), inner), SERVED, 200, same_through_proxies=True)
    name = "GET: the hidden request in chunks"
    yield Entry(name, (get(CHUNKED) + chunks(hidden(name)),), SERVED, 200, same_through_proxies=True)
    name = "GET: the hidden request in a late chunk"
    yield Entry(name, (get(CHUNKED), Pause(), chunks(hidden(name))), SERVED, 200, same_through_proxies=True)
    name = "GET: length zero"
    message = get(b"Content-Length: 0") + hidden(name)
    yield Entry(name, (message,), SERVED, 200, _WITH_HIDDEN, closes=True, same_through_proxies=True)
    name = "GET: no empty line at the end of the chunks"
    # A body that the operation does not want need not be read.
    message = get(CHUNKED) + b"0\r\n" + hidden(name)
    yield Entry(name, (message,), EITHER, 200, _WITH_HIDDEN, closes=True)
    name = "body: shorter than its length"
    content = body(name)
    message = post(b"Content-Length: %d" % (len(content) + 10)) + content
    yield Entry(name, (message,), Outcome.INCOMPLETE)
    name = "body: shorter than its length, which the hidden request fills"
    content, inner = body(name), hidden(name)
    message = post(b"Content-Length: %d" % (len(content) + len(inner) + 10)) + content + inner
    yield Entry(name, (message,), Outcome.INCOMPLETE)
    name = "body: longer than its length"
    content = body(name)
    yield Entry(name, (post(length(content)) + content + b"x",), SERVED, requests=2, closes=True)
    name = "body: longer than its length, the rest behind the answer"
    content = body(name)
    parts = (post(length(content)) + content, AwaitAnswer(), b"x" * 100 + b"\r\n\r\n")
    yield Entry(name, parts, SERVED, requests=2)
    name = "body: a blank line behind it"
    content = body(name)
    yield Entry(name, (post(length(content)) + content + b"\r\n",), SERVED, closes=True)
    name = "body: a further request behind it, in a part of its own"
    content = body(name)
    yield Entry(
        name,
        (post(length(content)) + content, Pause(), head(GET_LINE, HOST, IDENTITY)),
        SERVED,
        requests=2,
        further=True,
    )
    name = "body: as usual"
    content = body(name)
    yield Entry(name, (post(length(content)) + content,), SERVED, closes=False, same_through_proxies=True)
    name = "body: chunked"
    yield Entry(name, (post(CHUNKED) + chunks(body(name)),), SERVED, closes=False, same_through_proxies=True)


def _is_same(line: bytes, outcome: Outcome) -> bool:
    """Whether proxies must serve the entry, too: nginx refuses tabs around a value."""
    return outcome is SERVED and b"\t" not in line


def _numbered(line: bytes, numbers: dict[bytes, int]) -> bytes:
    """The line with its placeholder, the last word of a Content-Length, replaced."""
    word = line.rpartition(b" ")[2]
    if line.lower().startswith(b"content-length") and word in numbers:
        return line.removesuffix(word) + b"%d" % numbers[word]
    return line
