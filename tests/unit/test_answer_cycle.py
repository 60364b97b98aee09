"""How the bytes of an answer reach the transport of its connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from image_builder.http.answer_cycle import AnswerCycle, AnswerTransport

HEADERS = [(b"content-type", b"text/plain")]


class Protocol:
    """The part of a ContractProtocol that AnswerTransport uses; it is its own transport."""

    def __init__(self) -> None:
        self.transport = self
        self.written: list[bytes] = []
        self.is_closed = False
        self.write_paused = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written.append(bytes(data))

    def close_gently(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def create_cycle(
    protocol: Protocol, transport: AnswerTransport, method: str = "GET", *, keep_alive: bool = True
) -> Any:
    """The exchange of a request without a body."""
    cycle = AnswerCycle(
        scope={"method": method, "http_version": "1.1"},  # type: ignore[typeddict-item]  # all that is read of it
        transport=transport,  # type: ignore[arg-type]  # it has the methods that uvicorn calls
        flow=protocol,  # type: ignore[arg-type]  # only its `write_paused` is read
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    cycle.more_body = False
    return cycle


def answer(*messages: dict[str, Any], method: str = "GET", keep_alive: bool = True) -> Protocol:
    """Send these messages of ASGI as the answer to a request without a body."""
    protocol = Protocol()

    async def send_all() -> None:
        transport = AnswerTransport(protocol)  # type: ignore[arg-type]
        cycle = create_cycle(protocol, transport, method, keep_alive=keep_alive)
        for message in messages:
            await cycle.send(message)

    asyncio.run(send_all())
    return protocol


def start(length: int | None, status: int = 200) -> dict[str, Any]:
    headers = HEADERS if length is None else [*HEADERS, (b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content: bytes | memoryview, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_the_head_and_a_small_body_are_written_together(kind: type[bytes | memoryview]) -> None:
    (written,) = answer(start(5), body(kind(b"hello"))).written
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert written.endswith(b"\r\n\r\nhello")


def test_a_large_body_is_not_copied_to_the_head() -> None:
    head, content = answer(start(100_000), body(b"x" * 100_000)).written
    assert head.endswith(b"\r\n\r\n")
    assert content == b"x" * 100_000


def test_the_parts_of_a_body_are_written_as_they_come() -> None:
    written = answer(start(6), body(b"ab", more=True), body(b"cd", more=True), body(b"ef")).written
    assert written[0].endswith(b"\r\n\r\nab")
    assert written[1:] == [b"cd", b"ef"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("keep_alive", [False, True])
def test_an_answer_without_a_body_is_written_too(method: str, status: int, keep_alive: bool) -> None:
    length = 5 if method == "HEAD" else None
    sent = answer(start(length, status), body(b""), method=method, keep_alive=keep_alive)
    assert b"".join(sent.written).startswith(b"HTTP/1.1 %d " % status)
    assert b"".join(sent.written).endswith(b"\r\n\r\n")
    assert sent.is_closed != keep_alive


def test_an_answer_that_closes_its_connection_is_written_before() -> None:
    sent = answer(start(5), body(b"hello"), keep_alive=False)
    assert b"".join(sent.written).endswith(b"hello")
    assert b"\r\nconnection: close\r\n" in b"".join(sent.written)
    assert sent.is_closed


def test_the_head_of_an_answer_without_its_body_is_written_when_the_connection_is_closed() -> None:
    protocol = Protocol()
    transport = AnswerTransport(protocol)  # type: ignore[arg-type]
    transport.expect_head()
    transport.write(b"head")
    assert protocol.written == []
    transport.close()
    assert protocol.written == [b"head"]
    assert protocol.is_closed


def test_a_second_beginning_of_an_answer_is_refused_and_loses_nothing() -> None:
    protocol = Protocol()
    transport = AnswerTransport(protocol)  # type: ignore[arg-type]

    async def send_all() -> None:
        cycle = create_cycle(protocol, transport)
        await cycle.send(start(5))
        with pytest.raises(RuntimeError):
            await cycle.send(start(5))
        await cycle.send(body(b"hello"))

    asyncio.run(send_all())
    assert b"".join(protocol.written).startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"".join(protocol.written).endswith(b"\r\n\r\nhello")


def test_nothing_is_written_for_a_client_that_is_gone() -> None:
    protocol = Protocol()
    transport = AnswerTransport(protocol)  # type: ignore[arg-type]
    transport.expect_head()
    transport.write(b"head")
    protocol.is_closed = True
    transport.close()
    assert protocol.written == []
