"""The open connections of a server: limits their number, and chooses which one is closed for a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from image_builder.http.protocol import ContractProtocol


class Connections(ServerState):
    """A server's open connections, and uvicorn's state of the server.

    At most `max_connections` are open; at most half as many have had no request with a valid identity. When a limit is
    exceeded, the connection that has been idle for longest is closed. While the server `is_ending`, each connection is
    closed with its next answer.
    """

    def __init__(self, max_connections: int) -> None:
        super().__init__()
        self.is_ending = False
        # Bytes of incomplete request heads, without ORDINARY_HEAD_BYTES of each.
        self.incomplete_head_bytes = 0
        self._max_connections = max_connections
        # Sets, as dictionaries without values to keep an order: the connection that was opened or became idle first.
        self._idle: dict[ContractProtocol, None] = {}
        self._unidentified: dict[ContractProtocol, None] = {}

    def add(self, connection: ContractProtocol) -> None:
        """Register a new connection, and close another one if too many are open."""
        self._idle[connection] = None
        self._unidentified[connection] = None
        if len(self._unidentified) > self._max_connections // 2:
            oldest = next(iter(self._unidentified))
            self._evict(next((each for each in self._unidentified if each in self._idle), oldest))
        if len(self.connections) > self._max_connections:
            self._evict(next(iter(self._idle), connection))

    def mark_busy(self, connection: ContractProtocol) -> None:
        """Record that a request has arrived on the connection."""
        self._idle.pop(connection, None)

    def mark_idle(self, connection: ContractProtocol) -> None:
        """Record that the connection waits for a request."""
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
