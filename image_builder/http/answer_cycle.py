"""One request and its answer on a connection (see protocol.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from image_builder.http.call import KNOWN_BODY_BYTES

if TYPE_CHECKING:
    from image_builder.http.protocol import ContractProtocol

# Bytes of a body that is copied in order to be sent together with the head.
_MAX_JOINED: Final = 16 * 1024


class AnswerTransport:
    """The transport to which a RequestResponseCycle writes its answer. Closing it lets the client read the answer.

    It sends the head together with the first bytes of the body: two system calls would take longer, and wake the client
    twice.
    """

    def __init__(self, protocol: ContractProtocol) -> None:
        self._protocol = protocol
        self._is_head_next = False
        self._head = b""

    def expect_head(self) -> None:
        """Keep what is written next until more is written, or until `flush` or `close` is called."""
        self._is_head_next = True

    def write(self, data: bytes) -> None:
        if self._is_head_next:
            self._head, self._is_head_next = data, False
            return
        head, self._head = self._head, b""
        transport = self._protocol.transport
        if head and len(data) <= _MAX_JOINED:
            transport.write(b"".join((head, data)))
            return
        if head:
            transport.write(head)
        transport.write(data)

    def flush(self) -> None:
        """Send a head that has no body, unless the client is gone."""
        if self._head and not self.is_closing():
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._protocol.close_gently()

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()


class AnswerCycle(RequestResponseCycle):
    """uvicorn's request and answer. An answer that begins before the request's body is complete ends the connection."""

    transport: AnswerTransport  # type: ignore[assignment]  # uvicorn uses only these methods of a transport
    # Bytes of the request's body as far as its size is known; see `framing`.
    known_size = 0
    _ended_early = False

    def end_body_early(self) -> None:
        """Let the application see a disconnected client instead of the rest of the body, which cannot be read."""
        self._ended_early = True
        self.message_event.set()

    async def receive(self) -> Any:
        message: Any = {} if self._ended_early else await super().receive()
        return {"type": "http.disconnect"} if self._ended_early else {**message, KNOWN_BODY_BYTES: self.known_size}

    async def send(self, message: Any) -> None:
        if self.more_body and not self.response_started:
            self.keep_alive = False
        is_start = message["type"] == "http.response.start"
        if is_start and not self.response_started:
            self.transport.expect_head()
        await super().send(message)
        if not is_start:
            self.transport.flush()
        # Return when the client has read nearly all of the answer: until then the request keeps its reserved memory.
        if self.response_complete and self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
