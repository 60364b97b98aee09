"""Clients of back-ends that call in the name of a customer: how tests create them, and every kind of missing answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adapters.http.client import BackEnd
from domain.identity import Identity
from tests.support.drip import DRIPS
from tests.support.loopback import Asked, Loopback, Step, answer, close, garbage, half, hang, reset, truncated

CUSTOMER = Identity("000042", header="eyJvIjoxfQ==")
NOBODY = Identity("fedora-user")

# No answer at once; of 4xx each adapter knows its own.
BROKEN: dict[str, Step] = {
    "reset": reset,
    "close": close,
    "no HTTP": garbage,
    "reset mid-body": truncated(),
    "500": answer(500),
    "502": answer(502),
    "503": answer(503, b"<html>", "text/html"),
    "429": answer(429, b"", retry_after="100"),
    "418": answer(418),
    "307": answer(307, b"", location="/elsewhere"),
    "201": answer(201, b"{}"),
}
# A 200 that says nothing, to whoever expects a JSON object.
MEANINGLESS: dict[str, Step] = {
    "HTML": answer(200, b"<html>", "text/html"),
    "cut JSON": answer(200, b'{"data": ['),
    "no UTF-8": answer(200, b'{"data": "\xff"}'),
    "nothing": answer(200, b""),
    "null": answer(200, b"null"),
    "a list": answer(200, b"[]"),
    "text": answer(200, b'"data"'),
    "data as text": answer(200, b'{"data": "x", "aws": "x", "uuid": 5}'),
    "data of numbers": answer(200, b'{"data": [5], "aws": [5], "uuid": [5]}'),
}
# No answer in time.
SLOW: dict[str, Step] = {"hang": hang, "half": half, "drip": DRIPS["a body"]}


@contextmanager
def asking(adapter: Callable[[BackEnd], Any], *steps: Step) -> Iterator[tuple[Any, list[Asked]]]:
    """The client of a back-end that performs these steps, and the recorded requests."""
    with Loopback(*steps) as server, reaching(adapter, server.url) as reached:
        yield reached, server.asked


@contextmanager
def reaching(adapter: Callable[[BackEnd], Any], url: str) -> Iterator[Any]:
    """The client of the server at `url`."""
    back_end = BackEnd("back-end", url, connections=5)
    try:
        yield adapter(back_end)
    finally:
        back_end.close()


def is_discreet(detail: str) -> bool:
    """Whether a text shows neither the address of the back-end nor its answer."""
    return not any(word in detail for word in ("127.0.0.1", "http", "html", "{", "Error", "back-end"))
