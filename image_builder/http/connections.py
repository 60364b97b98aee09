"""The open connections of a server: their maximum number, and which one is closed for a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from image_builder.http.protocol import ContractProtocol


class Connections(ServerState):
    """A server's open connections. While the server is `ending`, each is closed with its next answer.

    At most `most` connections are open; at most half as many have not shown a valid identity. When a limit is exceeded,
    the connection that has been idle for longest is closed.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.ending = False
        # Bytes of incomplete request heads, beyond the size of an ordinary head.
        self.incomplete_head_bytes = 0
        self._most = most
        # Both in the order in which connections became idle or were opened.
        self._idle: dict[ContractProtocol, None] = {}
        self._unidentified: dict[ContractProtocol, None] = {}

    def add(self, connection: ContractProtocol) -> None:
        """Register a new connection, and close another one if there are too many."""
        self._idle[connection] = None
        self._unidentified[connection] = None
        if len(self._unidentified) > self._most // 2:
            oldest = next(iter(self._unidentified))
            self._evict(next((each for each in self._unidentified if each in self._idle), oldest))
        if len(self.connections) > self._most:
            self._evict(next(iter(self._idle), connection))

    def mark_busy(self, connection: ContractProtocol) -> None:
        """Record that a request has arrived on the connection."""
        self._idle.pop(connection, None)

    def mark_idle(self, connection: ContractProtocol) -> None:
        """Record that the request on the connection was answered."""
        self._idle[connection] = None

    def mark_identified(self, connection: ContractProtocol) -> None:
        """Record that a request on the connection had a valid identity."""
        self._unidentified.pop(connection, None)

    def remove(self, connection: ContractProtocol) -> None:
        """Remove a closed connection."""
        self._idle.pop(connection, None)
        self._unidentified.pop(connection, None)

    def _evict(self, connection: ContractProtocol) -> None:
        self.remove(connection)
        connection.transport.abort()
