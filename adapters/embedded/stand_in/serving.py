"""The HTTP server of a stand-in: it prints its URL when it listens, and ends quickly on a signal."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection
from typing import Final

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The option of Linux's prctl that sets the signal for the end of the parent.
PR_SET_PDEATHSIG: Final = 1


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which gives handlers access to the connection so that they can close it."""

    def on_message_begin(self) -> None:
        """Add the connection to the request's scope."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class Server(uvicorn.Server):
    """Prints its URL when it listens, and releases waiting calls when it ends."""

    def __init__(
        self, config: uvicorn.Config, event: str, url: str, release: Callable[[], None], early_signals: Collection[int]
    ) -> None:
        super().__init__(config)
        self._startup_message = {"event": event, "url": url}
        self._release = release
        self._early_signals = early_signals

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and print the address; end at once if a signal came before."""
        await super().startup(sockets)
        if self._early_signals:
            self.should_exit = True
            return
        sys.stdout.write(orjson.dumps(self._startup_message).decode() + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Release waiting calls, then end."""
        self._release()
        await super().shutdown(sockets)


def serve(name: str, host: str, port: int, app: Starlette, release: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT arrives; then call `release`, which releases waiting calls."""
    # uvicorn raises the signal that ended it again for the handlers it found here: with these the process ends with 0.
    # They also keep a signal that comes before uvicorn installs its own handlers.
    early_signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: early_signals.append(number))
    with socket.create_server((host, port), backlog=1024) as listener:
        config = uvicorn.Config(
            app,
            http=Protocol,
            loop="uvloop",
            lifespan="off",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            headers=[("Server", name.replace(" ", "-"))],
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        bound_host, bound_port = listener.getsockname()[:2]
        Server(config, f"{name} listening", f"http://{bound_host}:{bound_port}", release, early_signals).run(
            sockets=[listener]
        )


def argument_parser(name: str, description: str, *, state_help: str) -> argparse.ArgumentParser:
    """A parser of the options that all stand-ins have."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--state", required=True, help=state_help)
    parser.add_argument("--parent-death", type=int, help="end with this process, which started this one")
    return parser


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line. With `--parent-death` the process ends with its parent from now on."""
    arguments = parser.parse_args()
    if arguments.parent_death is not None:
        _end_with_parent(arguments.parent_death, parser.prog)
    return arguments


def _end_with_parent(parent: int, name: str) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"{name}: the process that started this one has ended")


async def cut_off(request: Request) -> Response:
    """Close the connection without an answer, and wait until it is closed."""
    request.scope["state"]["transport"].abort()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()
