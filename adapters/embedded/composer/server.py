"""The server around the application: a socket, one line once it listens, a quick and clean end."""

from __future__ import annotations

import signal
import socket
import sys
from typing import Final

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.embedded.composer.app import build
from adapters.embedded.composer.state import Composes
from adapters.embedded.composer.steering import Steering

LISTENING: Final = "stand-in composer listening"


class Protocol(HttpToolsProtocol):
    """HTTP, with the connection within a request's reach, so that a handler can cut it off."""

    def on_message_begin(self) -> None:
        """Begin the request's scope."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class Server(uvicorn.Server):
    """Announces itself once it listens, and lets nobody wait when it ends."""

    def __init__(self, config: uvicorn.Config, url: str, steering: Steering) -> None:
        super().__init__(config)
        self._url = url
        self._steering = steering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        sys.stdout.write(orjson.dumps({"event": LISTENING, "url": self._url}).decode() + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Release whoever waits, then end."""
        self._steering.close()
        await super().shutdown(sockets)


def serve(host: str, port: int, state: str, seconds: float) -> None:
    """Answer until SIGTERM or SIGINT comes."""
    # uvicorn raises the signal that ended it again for the handlers it found here: these let it end with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with socket.create_server((host, port), backlog=1024) as listener:
        composes, steering = Composes(state), Steering()
        config = uvicorn.Config(
            build(composes, steering, seconds),
            http=Protocol,
            loop="uvloop",
            lifespan="off",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            headers=[("Server", "stand-in-composer")],
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        bound, chosen = listener.getsockname()[:2]
        Server(config, f"http://{bound}:{chosen}", steering).run(sockets=[listener])
        composes.close()
