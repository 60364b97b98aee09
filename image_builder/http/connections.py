"""The open connections of a server: how many there may be, and which of them make room for new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from image_builder.http.protocol import ContractProtocol


class Connections(ServerState):
    """A server's open connections; once it is `ending`, each is closed with the next answer.

    At most `most` are open, and at most half as many that have shown no identity yet. A further connection takes the
    place of the one that has been idle for longest.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.ending = False
        # Bytes of heads that are not whole, beyond what an ordinary head has.
        self.bytes_of_heads = 0
        self._most = most
        # In the order in which they became idle, or were opened.
        self._idle: dict[ContractProtocol, None] = {}
        self._unidentified: dict[ContractProtocol, None] = {}

    def opened(self, connection: ContractProtocol) -> None:
        """Make room for a new connection."""
        self._idle[connection] = None
        self._unidentified[connection] = None
        if len(self._unidentified) > self._most // 2:
            oldest = next(iter(self._unidentified))
            self._evict(next((each for each in self._unidentified if each in self._idle), oldest))
        if len(self.connections) > self._most:
            self._evict(next(iter(self._idle), connection))

    def busy(self, connection: ContractProtocol) -> None:
        """A request arrived on it."""
        self._idle.pop(connection, None)

    def idle(self, connection: ContractProtocol) -> None:
        """Its request was answered."""
        self._idle[connection] = None

    def identified(self, connection: ContractProtocol) -> None:
        """A request on it has shown a valid identity."""
        self._unidentified.pop(connection, None)

    def closed(self, connection: ContractProtocol) -> None:
        """It is gone."""
        self._idle.pop(connection, None)
        self._unidentified.pop(connection, None)

    def _evict(self, connection: ContractProtocol) -> None:
        self.closed(connection)
        connection.transport.abort()
